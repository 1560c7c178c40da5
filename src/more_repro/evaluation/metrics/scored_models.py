"""The scores table as arrays: one entry per reward model, its pairs by source, in an order that rows cannot change."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.schemes import ALIGN, ALL
from more_repro.stats.intervals import Codes, Vector

_KEY = [*MODEL_KEY, "split", "source", "pair_id"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Test pairs of one source, arrays (n,).

    margins: reward of chosen minus rejected. ids, prompts: codes of the pair and its prompt, equal over sources and
    models of one table. true_preference, shared_margin: NaN where the world is not known.
    """

    margins: Vector
    ids: Codes
    prompts: Codes
    true_preference: Vector
    shared_margin: Vector


@dataclass(frozen=True, slots=True)
class ScoredModel:
    model: RewardModelId
    test: dict[str, Pairs] = field(default_factory=dict)
    validation: dict[str, Vector] = field(default_factory=dict)  # margins by source

    def pools(self, align_sources: Sequence[str], sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Name -> sources of each pool that this model was scored on in full."""
        wanted = {ALIGN: tuple(align_sources), ALL: tuple(sources)}
        return {name: parts for name, parts in wanted.items() if parts and all(part in self.test for part in parts)}


def pooled(parts: Sequence[Pairs]) -> Pairs:
    """Several sources' pairs as one."""
    return Pairs(
        np.concatenate([part.margins for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.prompts for part in parts]),
        np.concatenate([part.true_preference for part in parts]),
        np.concatenate([part.shared_margin for part in parts]),
    )


def test_sources(models: Sequence[ScoredModel]) -> list[str]:
    """Every source that some model was tested on, sorted."""
    return sorted({source for model in models for source in model.test})


def scored_models(scores: pd.DataFrame, truth: pd.DataFrame | None = None) -> list[ScoredModel]:
    """Read a "scores" table (every split but train) and the truth of its test pairs.

    truth: DataFrame[pair_id, true_preference, shared_margin], NaN where unknown; None = all unknown.
    Rows given twice with the same rewards count once (the length rule stands in every base's table).
    Raises ValueError naming row, column and model: no test row, NaN or infinite rewards, two different rewards of one
    pair, a test pair that truth does not have.
    """
    table = _distinct(tables.check(scores, "scores"))
    model_code = table.groupby(list(MODEL_KEY), sort=True).ngroup().to_numpy()
    pair_code, pair_ids = pd.factorize(table["pair_id"], sort=True)
    source_code, sources = pd.factorize(table["source"], sort=True)
    is_test = (table["split"] == "test").to_numpy()
    prompts = pd.factorize(table["prompt_id"], sort=True)[0].astype(np.int64)
    known = _truth(truth, pd.Index(pair_ids), pair_code[is_test])
    order = np.lexsort((pair_code, source_code, is_test, model_code))
    margins = _margins(table)
    block = np.stack([model_code, is_test, source_code])[:, order]
    starts = np.flatnonzero(np.r_[True, (block[:, 1:] != block[:, :-1]).any(axis=0)])
    found: dict[int, ScoredModel] = {}
    for first, last in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[first:last]
        row = table.iloc[rows[0]]
        key = RewardModelId(row["base"], row["regime"], row["scheme"], row["trained_on"], int(row["seed"]))
        entry = found.setdefault(int(model_code[rows[0]]), ScoredModel(key))
        source = str(sources[source_code[rows[0]]])
        if is_test[rows[0]]:
            truths = (column[pair_code[rows]] for column in known)
            entry.test[source] = Pairs(margins[rows], pair_code[rows].astype(np.int64), prompts[rows], *truths)
        else:
            entry.validation[source] = margins[rows]
    return [entry for _, entry in sorted(found.items()) if entry.test]


def _distinct(table: pd.DataFrame) -> pd.DataFrame:
    table = table[table["split"].isin(("validation", "test"))]
    if not (table["split"] == "test").any():
        raise ValueError("scores: no row of split 'test', expected at least one")
    table = table.drop_duplicates([*_KEY, "reward_chosen", "reward_rejected"])
    twice = table.duplicated(_KEY).to_numpy()
    if twice.any():
        row = table.iloc[int(twice.argmax())]
        raise ValueError(f"scores: row {row.name}: pair {row['pair_id']} of {_name(row)} has two different rewards")
    return table


def _margins(table: pd.DataFrame) -> Vector:
    with np.errstate(over="ignore"):
        margins = (table["reward_chosen"] - table["reward_rejected"]).to_numpy(np.float64)
    if not np.isfinite(margins).all():
        row = table.iloc[int((~np.isfinite(margins)).argmax())]
        raise ValueError(f"scores: row {row.name}: the margin of {_name(row)} is not finite")
    return margins


def _name(row: pd.Series) -> str:
    return "/".join(str(row[column]) for column in MODEL_KEY)


def _truth(truth: pd.DataFrame | None, pair_ids: pd.Index, tested: Codes) -> tuple[Vector, Vector]:
    if truth is None:
        unknown = np.full(len(pair_ids), np.nan)
        return unknown, unknown
    columns = truth.drop_duplicates("pair_id").set_index("pair_id")
    missing = ~pair_ids.isin(columns.index)
    lacking = missing[tested]
    if lacking.any():
        first = pair_ids[tested[int(lacking.argmax())]]
        raise ValueError(f"truth: no row for pair_id {first!r}, one of {int(missing[np.unique(tested)].sum())} missing")
    columns = columns.reindex(pair_ids)
    preference = columns["true_preference"].to_numpy(np.float64)
    if ((preference < 0) | (preference > 1)).any():
        raise ValueError(f"truth: true_preference {np.nanmin(preference)}..{np.nanmax(preference)}, expected 0..1")
    return preference, columns["shared_margin"].to_numpy(np.float64)
