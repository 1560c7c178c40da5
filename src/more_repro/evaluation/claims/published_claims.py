"""Verdicts on the paper's claims from its printed numbers alone, with the noise that those numbers carry."""

import numpy as np
import pandas as pd

from more_repro.evaluation.claims import rules as v
from more_repro.evaluation.claims.regime_view import size_trend
from more_repro.evaluation.paper import printed_numbers as printed
from more_repro.evaluation.paper_checks.printed_null import null_pairs, over_confidence
from more_repro.evaluation.regression.regression import FEW, PERMUTATION
from more_repro.params import Stats
from more_repro.schemes import ALIGN, AVERAGING, PAPER, TOP
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval
from more_repro.stats.intervals import Interval, Vector, mean_interval
from more_repro.stats.random import generator

BINS = 10  # the paper's


def published_findings(stats: Stats, regression: pd.DataFrame) -> dict[str, v.Finding]:
    """Findings C1..C7. regression: table "regression"; its rows with data "published" judge C6."""
    paper = printed.load()
    means = _by_scheme(paper, "row_mean")
    errors = _by_scheme(paper, "ece")
    return {
        "C1": v.missing("accuracy off the own source is printed as a figure only"),
        "C2": _c2(means, errors, stats.confidence),
        "C3": _c3(paper, stats),
        "C4": _c4(paper, stats.confidence),
        "C5": v.missing("ECE against the number of sources is printed as a figure only"),
        "C6": _c6(regression[regression["data"] == "published"]),
        "C7": _c7(means, stats.confidence),
    }


def _by_scheme(paper: printed.Published, column: str) -> pd.DataFrame:
    """A column of Table 2, base by scheme, smallest base first."""
    return printed.table2(paper).pivot_table(index="base", columns="scheme", values=column).loc[list(paper.bases)]


def _c2(means: pd.DataFrame, errors: pd.DataFrame, confidence: float) -> v.Finding:
    worse = mean_interval(errors[PAPER.reference] - errors[TOP], confidence)
    change = means[PAPER.reference] - means[TOP]
    kept = mean_interval(change, confidence)
    trend = size_trend(range(len(change)), change, confidence)
    parts = [v.judge(worse, 1, v.ECE), v.at_least(kept, -v.KEPT), v.judge(trend, 1, v.PER_SIZE)]
    text = f"{v.told('Mean ECE of MultiTask less top', worse)}; {v.told('mean accuracy', kept)}"
    return v.Finding(v.combine(parts), worse, f"{text}; {v.told('per step in base size', trend)}.")


def _c3(paper: printed.Published, stats: Stats) -> v.Finding:
    sizes = [paper.pairs[source].test for source in ("helpful", "harmless")]
    seen, nulls, accuracy = [], [], []
    for base, entry in paper.alignment.bases.items():
        seen.append(entry.more.ece - entry.multitask.ece)
        accuracy.append((entry.more.accuracy - entry.multitask.accuracy) / 100)
        nulls.append(_noise(paper, base, (entry.more.ece + entry.multitask.ece) / 2, sizes, stats))
    noise = np.mean(nulls, axis=0)
    low, high = percentile_interval(noise, stats.confidence)
    estimate = float(np.mean(seen))
    error = Interval(
        estimate, estimate - float(high), estimate - float(low), monte_carlo_p(np.abs(noise), abs(estimate)), len(seen)
    )
    alone = [monte_carlo_p(np.abs(null), abs(one)) for null, one in zip(nulls, seen, strict=True)]
    clear = sum(p < 1 - stats.confidence and one < 0 for p, one in zip(alone, seen, strict=True))
    each = v.SUPPORTED if clear == len(seen) else v.UNDECIDED
    kept = v.SUPPORTED if np.mean(accuracy) > -v.COMPARABLE else v.NOT_SUPPORTED
    ps = ", ".join(f"{base} {p:.3f}" for base, p in zip(paper.alignment.bases, alone, strict=True))
    text = v.told("ECE of MORE less MultiTask on helpful and harmless", error, 4)
    text = f"{text}, by the noise of models equally over-confident; p of each base alone: {ps}"
    sentence = f"{text}; accuracy {np.mean(accuracy):+.4f}. No seed was varied."
    return v.Finding(v.combine([v.judge(error, -1, v.ECE), each, kept]), error, sentence)


def _noise(paper: printed.Published, base: str, middle: float, sizes: list[int], stats: Stats) -> Vector:
    """Differences of two models as accurate as printed and equally over-confident: those of table "published_noise"."""
    table = printed.table2(paper).set_index(["base", "scheme"])
    first, second = (
        [float(table.loc[(base, scheme), source]) for source in ("helpful", "harmless")]  # type: ignore[arg-type]
        for scheme in (PAPER.method, PAPER.reference)
    )
    rng = generator(stats.seed, "published noise", "table1", base, PAPER.method, ALIGN)
    null_pairs(first, second, sizes, BINS, stats.null_draws, rng)  # the null of the ECE itself comes first there
    scale = over_confidence([*first, *second], [*sizes, *sizes], BINS, middle)
    apart = np.subtract(*null_pairs(first, second, sizes, BINS, stats.null_draws, rng, 0.0, scale))
    return np.asarray(apart - apart.mean(), dtype=np.float64)


def _c4(paper: printed.Published, confidence: float) -> v.Finding:
    rows = printed.tables4_6(paper)
    total = rows["positive_count"] * rows["positive_mean"] - rows["negative_count"] * rows["negative_mean"]
    rows["log_size"] = np.log(total / (rows["positive_count"] + rows["negative_count"]))
    size = rows.pivot_table(index="base", columns="scheme", values="log_size", aggfunc="mean")
    extreme = mean_interval(size[PAPER.reference] - size[PAPER.method], confidence)
    part = v.judge(extreme, 1, v.LOG_MARGIN)
    verdict = part if part == v.NOT_SUPPORTED else v.UNDECIDED
    text = v.told("Log mean size of outliers of MultiTask less MORE", extreme)
    return v.Finding(verdict, extreme, f"{text} over {extreme.n} bases; mean |margin| is not printed.")


def _c6(regression: pd.DataFrame) -> v.Finding:
    rows = regression[(regression["term"] == "ece") & (regression["method"] == PERMUTATION)].set_index("outcome")
    if "perplexity_helpful" not in rows.index or "perplexity_harmless" not in rows.index:
        return v.missing("the regression on the printed points is not in the table")
    helpful, harmless = rows.loc["perplexity_helpful"].to_dict(), rows.loc["perplexity_harmless"].to_dict()
    n = int(helpful["n"])
    slope = Interval(helpful["estimate"], helpful["low"], helpful["high"], helpful["p"], n)
    text = (
        f"{v.told('Helpful perplexity per unit of ECE at equal accuracy', slope, 0)}, permutation p = {slope.p:.2f}; "
        f"harmless perplexity {harmless['estimate']:+.0f}, p = {harmless['p']:.2f}; {helpful['note']}."
    )
    if n < FEW:
        return v.Finding(v.UNDECIDED, slope, text)
    return v.Finding(v.judge(slope, 1, 0.0), slope, text)


def _c7(means: pd.DataFrame, confidence: float) -> v.Finding:
    loss = mean_interval(means[AVERAGING] - means[TOP], confidence)
    text = v.told("Mean accuracy of averaging less top", loss)
    return v.Finding(v.judge(loss, -1, v.AVERAGED), loss, f"{text}, over {loss.n} bases.")
