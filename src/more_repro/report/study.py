"""What one run holds: its params, its tables in the order of the params, and the sentences computed from them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from more_repro import tables as schemas
from more_repro.params import Params
from more_repro.records import MODEL_KEY
from more_repro.report.rows import bases_of, data_sets, of_regime, order_tables, whole

NOT_TRAINED = ("raw", "length")


@dataclass(frozen=True)
class Study:
    """Tables of one run; one that is not there is empty, so that its figure says "not measured"."""

    params: Params
    tables: dict[str, pd.DataFrame]

    @classmethod
    def of(cls, params: Params, tables: dict[str, pd.DataFrame]) -> "Study":
        """Check each table against its schema and put its rows in the order of the params."""
        known = {name: schemas.check(table, name) for name, table in tables.items() if name in schemas.SCHEMAS}
        return cls(params, order_tables(known, list(params.sources), list(params.bases), list(params.regimes)))

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name] if name in self.tables else schemas.empty(name)

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
    found = [*_seeds_note(study)]
    for regime in study.params.regimes:
        found += _length_notes(study, regime)
        found += _null_notes(study, regime)
    return [*found, *_placebo_note(study), *_regression_notes(study)]


def _length_notes(study: Study, regime: str) -> list[str]:
    metrics = study["metrics"]
    rule = metrics[(metrics["scheme"] == "length") & (metrics["source"] == "all")]
    rows = whole(of_regime(study["seed_summary"], regime))
    rows = rows[(rows["metric"] == "accuracy") & (rows["source"] == "all") & (rows["trained_on"] == "mixture")]
    rows = rows[~rows["scheme"].isin(NOT_TRAINED) & rows["estimate"].notna()]
    if rule.empty or rows.empty:
        return []
    length = rule.iloc[0]
    ends = f"{length['accuracy']:.3f} [{length['accuracy_low']:.3f}, {length['accuracy_high']:.3f}]"
    found = []
    for base in bases_of(rows):
        mean = float(rows.loc[rows["base"] == base, "estimate"].mean())
        above = mean > float(length["accuracy_high"])
        found.append(
            f"Regime {regime}, base {base}: the mean accuracy of its schemes trained on all sources is {mean:.3f}, "
            + ("above" if above else "NOT above")
            + f" the interval of the length rule, {ends}"
            + ("." if above else ": here a reward model is worth no more than counting words.")
        )
    return found


def _null_notes(study: Study, regime: str) -> list[str]:
    rows = data_sets(whole(of_regime(study["metrics"], regime)))
    rows = rows[(rows["trained_on"] == "mixture") & rows["ece"].notna() & rows["ece_null_high"].notna()]
    if rows.empty:
        return []
    inside = int((rows["ece"] <= rows["ece_null_high"]).sum())
    return [
        f"Regime {regime}: {inside} of {len(rows)} ECE values (reward model of all sources x test source) are not "
        f"above their "
        "null band, so they show no miscalibration at this number of pairs."
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


def _regression_notes(study: Study) -> list[str]:
    rows = study["regression"]
    parts = [
        (d, part.strip(" .")) for d, note in zip(rows["data"], rows["note"], strict=True) for part in note.split(";")
    ]
    return [f"Regression, {d}: {part}." for d, part in dict.fromkeys(parts) if part.startswith("descriptive")]


def finite(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return float(value) if np.isfinite(value) else None
