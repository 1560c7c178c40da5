"""Verdicts on the paper's claims from this run's tables, one regime at a time: the table "claims"."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from more_repro import tables
from more_repro.evaluation.claims import rules as v
from more_repro.evaluation.claims.published_claims import published_findings
from more_repro.evaluation.claims.regime_view import UNIT, Study, size_trend
from more_repro.evaluation.comparisons.seed_summary import per_seed
from more_repro.evaluation.regression.regression import ALIKE, FEW, PERMUTATION
from more_repro.params import Params
from more_repro.schemes import ALIGN, ALL, AVERAGING, MEAN, MIXTURE, TOP, first_k
from more_repro.stats.intervals import NAN, Interval


def judge_claims(
    params: Params,
    sizes: Mapping[str, int],
    metrics: pd.DataFrame,
    outliers: pd.DataFrame,
    regression: pd.DataFrame,
) -> pd.DataFrame:
    """Table "claims": C1..C7 for each regime of this run and for the published numbers.

    sizes: parameters of each base. metrics, outliers, regression: tables of `evaluate_all` and `regress_all`.
    Where the rows a rule needs are absent the verdict is "undecided" and the sentence says why. n: the replicates
    behind the interval.
    """
    rows = []
    long = per_seed(metrics, params.roles)
    for regime in params.regimes:
        study = Study(
            params,
            sizes,
            regime,
            long[long["regime"] == regime],
            outliers[outliers["regime"] == regime],
            regression[regression["data"] == f"this run: {regime}"],
        )
        rows += [(claim, f"this run: {regime}", v.RULES[claim], judge(study)) for claim, judge in CLAIMS.items()]
    for claim, finding in published_findings(params.stats, regression).items():
        rows.append((claim, "published", v.PUBLISHED_RULES[claim], finding))
    return tables.check(
        pd.DataFrame(
            [
                {"claim": claim, "statement": v.STATEMENTS[claim], "data": data, "verdict": finding.verdict}
                | finding.interval.columns()
                | {"n": finding.interval.n, "rule": rule, "sentence": finding.sentence}
                for claim, data, rule, finding in rows
            ]
        ),
        "claims",
    )


def _c1(study: Study) -> v.Finding:
    rows = study.long[(study.long["scheme"] == study.roles.single) & study.long["source"].isin(study.params.sources)]
    accuracy = rows[rows["metric"] == "accuracy"]
    own = accuracy[accuracy["trained_on"] == accuracy["source"]].groupby(UNIT)["value"].mean()
    off = accuracy[accuracy["trained_on"] != accuracy["source"]].groupby(UNIT)["value"].mean()
    if own.empty or off.empty:
        return v.missing("there are no single-source models tested on several sources")
    loss = study.mean(own - off)
    sizes = rows[rows["metric"] == "mean_abs_margin"]
    log_size = np.log(sizes["value"]).groupby([sizes[name] for name in ("base", "trained_on", "seed")]).mean()
    p = _spread_p(log_size)
    spread = v.SUPPORTED if p < 1 - study.confidence else v.UNDECIDED
    verdict = v.combine([v.judge(loss, 1, v.OFF_SOURCE), spread])
    text = v.told("Accuracy on the own source less that on the others", loss)
    return v.Finding(verdict, loss, f"{text}; size of margins differs between singles with p = {p:.3g}.")


def _spread_p(log_size: pd.Series) -> float:
    """F test that models of one base, (base, trained_on, seed), differ by trained_on more than by seed."""
    cell = log_size.groupby(["base", "trained_on"])
    within = log_size - cell.transform("mean")
    between = cell.transform("mean") - log_size.groupby("base").transform("mean")
    n_cells, n_bases = cell.ngroups, log_size.groupby("base").ngroups
    df_within, df_between = len(log_size) - n_cells, n_cells - n_bases
    if df_within <= 0 or df_between <= 0 or not (within**2).sum() > 0:
        return NAN
    ratio = ((between**2).sum() / df_between) / ((within**2).sum() / df_within)
    return float(distributions.f.sf(ratio, df_between, df_within))


def _c2(study: Study) -> v.Finding:
    reference = study.roles.reference
    worse = study.difference(reference, TOP, MEAN, "ece")
    change = (study.values(reference, MEAN, "accuracy") - study.values(TOP, MEAN, "accuracy")).dropna()
    if change.empty:
        return v.missing(f"{reference} or the single-source models of all sources were not trained")
    kept = study.mean(change)
    known = change[[base in study.sizes for base in change.index.get_level_values("base")]]
    trend = size_trend([study.sizes[base] for base in known.index.get_level_values("base")], known, study.confidence)
    parts = [v.judge(worse, 1, v.ECE), v.at_least(kept, -v.KEPT), v.judge(trend, 1, v.PER_SIZE)]
    last = v.told("per step in base size", trend) if trend.n else "one base only, so nothing on base size"
    text = f"{v.told('Mean ECE of MultiTask less top', worse)}; {v.told('mean accuracy', kept)}; {last}."
    return v.Finding(v.combine(parts), worse, text)


def _c3(study: Study) -> v.Finding:
    method, reference = study.roles.method, study.roles.reference
    error = study.difference(method, reference, ALIGN, "ece")
    if not error.n:
        return v.missing(f"{reference} and {method} were not both trained")
    accuracy = study.difference(method, reference, ALIGN, "accuracy")
    everywhere = study.difference(method, reference, ALL, "ece")
    verdict = v.combine([v.judge(error, -1, v.ECE), v.at_least(accuracy, -v.COMPARABLE)])
    text = f"{v.told('ECE of MORE less MultiTask on align', error)}; {v.told('accuracy', accuracy)}"
    return v.Finding(verdict, error, f"{text}; {v.told('ECE on all sources pooled', everywhere)}.")


def _c4(study: Study) -> v.Finding:
    method, reference = study.roles.method, study.roles.reference
    margin = study.difference(reference, method, ALL, "mean_abs_margin", log=True)
    if not margin.n:
        return v.missing(f"{reference} and {method} were not both trained")
    rows = study.outliers[study.outliers["trained_on"] == MIXTURE]
    count = rows["positive_count"] + rows["negative_count"]
    total = (rows["positive_count"] * rows["positive_mean"].fillna(0)).abs()
    total = total + (rows["negative_count"] * rows["negative_mean"].fillna(0)).abs()
    size = np.log(total / count.where(count > 0)).groupby([rows[name] for name in ("scheme", *UNIT, "source")]).mean()
    size = size[size.index.get_level_values("scheme").isin([reference, method])]
    if not {reference, method} <= set(size.index.get_level_values("scheme")):
        text = f"Undecided: the outliers of {reference} and {method} are not both known."
        return v.Finding(v.UNDECIDED, margin, text)
    both = (size.loc[reference] - size.loc[method]).dropna()
    extreme = study.mean(both.groupby(UNIT).mean())
    cells = size.index.droplevel("scheme").nunique()
    verdict = v.combine([v.judge(margin, 1, v.LOG_MARGIN), v.judge(extreme, 1, v.LOG_MARGIN)])
    text = v.told("Log mean |margin| of MultiTask less MORE", margin)
    without = cells - len(both)
    left_out = f" (of {cells} base, seed and source, {without} without outliers of both left out)" if without else ""
    return v.Finding(verdict, margin, f"{text}; {v.told('log mean size of outliers', extreme)}{left_out}.")


def _c5(study: Study) -> v.Finding:
    method = study.roles.method
    counts = {first_k(k): k for k in study.params.rm.sweep.counts} | {MIXTURE: len(study.params.sources)}
    columns = {k: study.values(method, ALIGN, "ece", name) for name, k in counts.items()}
    table = pd.DataFrame(columns).dropna()
    table = table[sorted(table.columns)]
    if table.empty or len(counts) < 2:
        return v.missing(f"{method} was not trained on different numbers of sources")
    k = np.array(table.columns, dtype=np.float64) - np.mean(table.columns)
    slope = study.mean(pd.Series(table.to_numpy() @ k / (k @ k), index=table.index))
    path = ", ".join(f"K={name} {value:.3f}" for name, value in table.mean().items())
    few = study.params.regimes[study.regime].unique_pairs
    caution = f" Small sources ({', '.join(few)}) enter with K, so re-use of data is not held fixed." if few else ""
    text = f"{v.told('ECE of MORE on align per source added', slope, 4)} ({path}).{caution}"
    return v.Finding(v.judge(slope, -1, v.PER_SOURCE), slope, text)


def _c6(study: Study) -> v.Finding:
    table = study.regression[study.regression["outcome"] == "net_win"]
    rows = {(str(row["term"]), str(row["method"])): row for row in table.to_dict("records")}
    if ("ece", PERMUTATION) not in rows:
        return v.missing("no reward model of this regime aligned a policy")
    row = rows["ece", PERMUTATION]
    slope = Interval(row["estimate"], row["low"], row["high"], row["p"], int(row["n"]))
    alike = float(rows.get(("ece", ALIKE), {"p": NAN})["p"])
    free, placebo = _placebo(rows, study.confidence)
    text = f"{v.told('Net win per unit of ECE at equal accuracy', slope, 2)}, permutation p = {slope.p:.3g}"
    text = f"{text} (Holm over outcomes {row['p_holm']:.3g}; schemes moved alike in all bases {alike:.3g}); {placebo}"
    if slope.n < FEW or np.isnan(slope.p):
        return v.Finding(v.UNDECIDED, slope, f"{text}; {row['note']}.")
    seen = slope.estimate < 0 and max(row["p_holm"], alike) < 1 - study.confidence and free
    refuted = v.NOT_SUPPORTED if slope.low > -v.SLOPE else v.UNDECIDED
    return v.Finding(v.SUPPORTED if seen and not np.isnan(alike) else refuted, slope, f"{text}.")


def _placebo(rows: Mapping[tuple[str, str], Mapping[Hashable, Any]], confidence: float) -> tuple[bool, str]:
    """Whether the placebo leaves the coefficient of ECE standing, and what to say of it."""
    if ("ece_temperature", PERMUTATION) not in rows:
        return False, "no placebo: the part of ECE that a temperature removes is not known"
    row = rows["ece_temperature", PERMUTATION]
    found = Interval(row["estimate"], row["low"], row["high"], row["p"])
    said = v.told("placebo (the part that a temperature removes)", found, 2)
    if np.isnan(found.p):
        return False, said
    beside_zero = found.low > 0 or found.high < 0 or found.p < 1 - confidence
    return not beside_zero, f"{said}{', not zero: the coefficient of ECE is confounded' if beside_zero else ''}"


def _c7(study: Study) -> v.Finding:
    loss = study.difference(AVERAGING, TOP, MEAN, "accuracy")
    if not loss.n:
        return v.missing("the single-source models of all sources, or their average, are not there")
    text = v.told("Mean accuracy of averaging less top", loss)
    return v.Finding(v.judge(loss, -1, v.AVERAGED), loss, f"{text}.")


CLAIMS: dict[str, Callable[[Study], v.Finding]] = {
    "C1": _c1, "C2": _c2, "C3": _c3, "C4": _c4, "C5": _c5, "C6": _c6, "C7": _c7,
}  # fmt: skip
