"""What one run holds: its params, its tables in the order of the params, and the sentences computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from more_repro import tables as schemas
from more_repro.params import Params
from more_repro.records import MODEL_KEY
from more_repro.report.formatting import interval
from more_repro.report.row_selection import data_sets, of_regime, order_tables, whole
from more_repro.schemes import ALL, AVERAGING, ENSEMBLES, LENGTH, MIXTURE, RAW, Roles

NOT_TRAINED = (RAW, LENGTH, AVERAGING)
# Of these tables the paper's figures and tables are made, and ensembles are none of its schemes.
_OF_THE_PAPER = (
    "metrics", "seed_summary", "reliability", "margin_boxes", "margin_histogram", "outliers", "length_bias",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """Tables of one run; one that is not there is empty, so that its figure says "not measured".

    A table is checked against its schema, and put into the order of the params, when it is first asked for.
    """

    params: Params
    tables: Mapping[str, pd.DataFrame]
    _in_order: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A table as figures show it: the measures of reward models without those of ensembles."""
        table = self.every(name)
        return table[~table["scheme"].isin(ENSEMBLES)] if name in _OF_THE_PAPER else table

    def every(self, name: str) -> pd.DataFrame:
        """A table with all of its rows. Raises TableError where it is not what its schema says."""
        if name not in self._in_order:
            found = schemas.check(self.tables[name], name) if name in self.tables else schemas.empty(name)
            self._in_order[name] = order_tables({name: found}, self.params)[name]
        return self._in_order[name]

    @property
    def roles(self) -> Roles:
        return self.params.roles

    @property
    def regime(self) -> str:
        return self.params.report.regime

    @property
    def other_regimes(self) -> list[str]:
        return [regime for regime in self.params.regimes if regime != self.regime]

    @property
    def n_reward_models(self) -> int:
        """Trained reward models, counted in the training log."""
        return len(self["training_log"][list(MODEL_KEY)].drop_duplicates())


def summary_sentence(study: Study) -> str:
    """What was run, in numbers that are read from the tables."""
    params, metrics = study.params, data_sets(study["metrics"])
    sizes = metrics.groupby("source", sort=False)["n_pairs"].max()
    n_test = f"{int(sizes.sum()):,} test pairs" if len(sizes) else "no test pairs"
    return (
        f"{study.n_reward_models} reward models were trained on preference pairs of "
        f"{_count(params.sources, 'source')}: "
        f"{_count(params.bases, 'base')}, {_count(params.regimes, 'regime')}, "
        f"{_count(params.seeds, 'seed')}. They were tested on {n_test}."
    )


def _count(names: object, word: str) -> str:
    items = [str(name) for name in names]  # type: ignore[attr-defined]
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'} ({', '.join(items)})"


def notes(study: Study) -> list[str]:
    """What a reader must know before believing a difference: each sentence follows from the tables, or is left out."""
    return [
        *_seeds_note(study),
        *_length_note(study),
        *_null_note(study),
        *_placebo_note(study),
        *placebo_sentences(study["regression"]),
        *_regression_note(study),
    ]


def _length_note(study: Study) -> list[str]:
    """Where the mean accuracy of a base's schemes is not above the length rule, longer or shorter, the better of both.

    The rule's interval is over prompts. Pooled over sources the rule is weak where they disagree on length, so each
    source is compared on its own.
    """
    metrics = data_sets(study["metrics"])
    rule = metrics[metrics["scheme"] == LENGTH].drop_duplicates("source")
    high = np.where(rule["accuracy"] < 0.5, 1 - rule["accuracy_low"], rule["accuracy_high"])
    limits = dict(zip(rule["source"], high, strict=True))
    rows = data_sets(whole(study["seed_summary"]))
    rows = rows[(rows["metric"] == "accuracy") & (rows["trained_on"] == MIXTURE) & rows["source"].isin(rule["source"])]
    rows = rows[~rows["scheme"].isin(NOT_TRAINED) & rows["estimate"].notna()]
    if rows.empty:
        return []
    means = rows.groupby(["regime", "base", "source"], sort=False)["estimate"].mean().reset_index()
    below = means[means["estimate"] <= means["source"].map(limits)]
    text = (
        "Length rule (longer or shorter wins, whichever is better on a source): the mean accuracy of the schemes "
        f"trained on all sources is above its interval on {len(means) - len(below)} of {len(means)} combinations of "
        "regime, base and source."
    )
    names = ", ".join(" ".join(names) for names in zip(below["regime"], below["base"], below["source"], strict=True))
    return [text + (f" NOT above, and worth no more than counting words: {names}." if names else "")]


def _null_note(study: Study) -> list[str]:
    counts = []
    for regime in study.params.regimes:
        rows = data_sets(whole(of_regime(study["metrics"], regime)))
        rows = rows[(rows["trained_on"] == MIXTURE) & rows["ece"].notna() & rows["ece_null_high"].notna()]
        if len(rows):
            counts.append(f"{regime} {int((rows['ece'] <= rows['ece_null_high']).sum())} of {len(rows)}")
    if not counts:
        return []
    return [
        "ECE values (reward model of all sources x test source) that are not above their null band, and so show no "
        f"miscalibration at this number of pairs: {', '.join(counts)}."
    ]


def _seeds_note(study: Study) -> list[str]:
    n_seeds = len(study.params.seeds)
    if n_seeds >= 3:
        return [
            f"Intervals of schemes are t intervals over {n_seeds} training seeds; test pairs are the same for every "
            f"seed."
        ]
    if n_seeds == 2:
        return [
            "Intervals of schemes rest on 2 training seeds, one degree of freedom: they are wide for that reason alone."
        ]
    return ["One training seed: schemes have no interval over seeds, and no difference between them can be tested."]


def _placebo_note(study: Study) -> list[str]:
    rows = study["placebo"]
    if rows.empty:
        return []
    changed, n = int(rows["changed_picks"].sum()), int(rows["n_prompts"].sum())
    spread = rows.groupby("factor")["ece"].mean()
    return [
        f"Placebo: multiplying every reward by {', '.join(f'{f:g}' for f in spread.index)} gave a mean ECE of "
        f"{', '.join(f'{e:.3f}' for e in spread)} and changed {changed} of {n:,} best-of-n picks."
    ]


def placebo_sentences(regression: pd.DataFrame) -> list[str]:
    """By rule, from the first method's row of net win on what one temperature removes; none where it has no interval.

    Best-of-n cannot see scale, so its effect is 0: an interval without 0: the coefficient of ECE is confounded.
    """
    rows = regression[regression["outcome"].eq("net_win") & regression["term"].eq("ece_temperature")]
    rows = rows[rows["low"].notna() & rows["high"].notna()].drop_duplicates("data")
    told = []
    for row in rows.to_dict("records"):
        meets = row["low"] <= 0 <= row["high"]
        verdict = "includes 0, as it must" if meets else "excludes 0: the coefficient of ECE is confounded"
        estimate = interval(row["estimate"], row["low"], row["high"])
        told.append(
            f"Placebo of the regression ({row['data']}, n = {row['n']}): the coefficient of net win on the part of ECE "
            f"that one temperature removes, which best-of-n cannot see, is {estimate} ({row['method']}); its interval "
            f"{verdict}."
        )
    return told


def _regression_note(study: Study) -> list[str]:
    """Data whose regressions only describe, each reason once."""
    rows = study["regression"]
    found: dict[str, list[str]] = {}
    for data, note in dict.fromkeys(zip(rows["data"], rows["note"], strict=True)):
        for part in (part.strip(" .") for part in note.split(";")):
            if part.startswith("descriptive") and data not in found.setdefault(part, []):
                found[part].append(data)
    return [f"Regression, {', '.join(data)}: {part}." for part, data in found.items()]


def caption_facts(study: Study) -> dict[str, str]:
    """What captions fill in: the lowest seed, the number of seeds, test pairs per source."""
    pairs = data_sets(study["metrics"])["n_pairs"]
    counts = dict.fromkeys(f"{int(n):,}" for n in (pairs.min(), pairs.max())) if len(pairs) else {"none": None}
    seeds, every = study.params.seeds, study["metrics"]
    pooled = every.loc[every["source"] == ALL, "n_pairs"]
    curves, judged = study["best_of_n_schemes"], study["win_rates"]["n_prompts"]
    return {
        "n_best_of": _most(curves["n_prompts"]),
        "most_n": _most(curves["n"]),
        "n_judged": _most(judged),
        "seed": str(min(seeds)),
        "n_seeds": str(len(seeds)),
        "n_test": " to ".join(counts),
        "n_pooled": f"{int(pooled.max()):,}" if len(pooled) else "none",
    }


def _most(counts: pd.Series) -> str:
    return f"{int(counts.max()):,}" if len(counts) else "none"


def finite(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return float(value) if np.isfinite(value) else None
