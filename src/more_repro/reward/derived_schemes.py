"""Reward functions made of the single-source models of a base, regime and seed: `averaging` and the ensembles."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.reward.ensembles import combine, scales_of
from more_repro.reward.grid import mixture_rows
from more_repro.schemes import AVERAGING, ENSEMBLES, MIXTURE

Rewards = Mapping[RewardModelId, np.ndarray]


def derived_models(params: Params, base: str) -> list[RewardModelId]:
    """Averaging and every ensemble of a base, each regime and seed; none without single-source models."""
    if params.roles.single not in params.schemes:
        return []
    return [
        RewardModelId(base, regime, scheme, MIXTURE, seed)
        for scheme in (AVERAGING, *ENSEMBLES)
        for regime in params.regimes
        for seed in params.seeds
    ]


def members(params: Params, model: RewardModelId) -> list[RewardModelId]:
    """The models that a reward function is made of, in the order of the sources; of any other model, itself.

    Raises ValueError where no scheme of the params has a model for each source.
    """
    if model.scheme not in (AVERAGING, *ENSEMBLES):
        return [model]
    single = params.roles.single
    if single not in params.schemes:
        raise ValueError(f"{model} is made of single-source models, and params.schemes trains none (trained_on: each)")
    return [RewardModelId(model.base, model.regime, single, source, model.seed) for source in params.sources]


def derive(
    params: Params,
    paths: Paths,
    models: Sequence[RewardModelId],
    rewards: Rewards,
    validation: Callable[[RewardModelId], np.ndarray],
) -> dict[RewardModelId, np.ndarray]:
    """Rewards of each model, of the same shape as its members' in `rewards`; a model with no members has its own.

    validation: a single model's rewards of validation pairs (n,), asked for ensembles alone.
    """
    made: dict[RewardModelId, np.ndarray] = {}
    for model in models:
        parts = members(params, model)
        values = np.stack([rewards[part] for part in parts])
        if model.scheme not in ENSEMBLES:
            made[model] = values.mean(axis=0)
            continue
        scales = scales_of(np.stack([validation(part) for part in parts]), [str(part) for part in parts])
        made[model] = combine(model.scheme, values, scales, _unique_pairs(params, paths, model))
    return made


def read_validation(paths: Paths, bases: Sequence[str], single: str) -> Callable[[RewardModelId], np.ndarray]:
    """Rewards (n,) of validation pairs, chosen and rejected, of a model of the scheme `single`, from its base's scores.

    Raises TableError where a base was not scored; ValueError naming the model that has no rewards.
    """
    columns = [*MODEL_KEY, "split", "reward_chosen", "reward_rejected"]
    found: dict[tuple[object, ...], np.ndarray] = {}
    for base in bases:
        scores = tables.read_columns(paths.scores(base), "scores", columns)
        rows = scores[(scores["scheme"] == single) & (scores["split"] == "validation")]
        for key, part in rows.groupby(list(MODEL_KEY), sort=False):
            found[tuple(key)] = _both(part)

    def of(model: RewardModelId) -> np.ndarray:
        key = tuple(getattr(model, name) for name in MODEL_KEY)
        if key not in found:
            raise ValueError(f"{paths.scores(model.base)}: no validation rewards of {model}; score its base again")
        return found[key]

    return of


def _both(rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(rows[["reward_chosen", "reward_rejected"]].to_numpy(dtype=np.float64).ravel(order="F"))


def _unique_pairs(params: Params, paths: Paths, model: RewardModelId) -> list[int]:
    rows = mixture_rows(paths, model.regime, model.seed)
    return [len(set(rows[source])) for source in params.sources]
