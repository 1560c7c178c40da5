"""Rescaling a reward model moves its ECE and no pick of best-of-n: a control for every link of ECE to alignment."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.metrics.ece import ece_of
from more_repro.evaluation.metrics.scored_models import pooled, scored_models
from more_repro.params import Stats
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.stats.best_of_n import best_of_n

FACTORS = (0.5, 1.0, 2.0)  # powers of two: a product is exact, so equal picks are equal to the last bit


def placebo_table(
    rewards: pd.DataFrame, scores: pd.DataFrame, stats: Stats, align_sources: Sequence[str]
) -> pd.DataFrame:
    """Table "placebo": per reward model and factor, its ECE on align_sources and the prompts whose pick changes.

    rewards: [MODEL_KEY, prompt_id, number, reward] of the samples. Raises ValueError: a reward that is not finite, a
    model without test scores on an align source.
    """
    if not len(rewards):
        return tables.empty("placebo")
    if not np.isfinite(rewards["reward"].to_numpy(np.float64)).all():
        row = int((~np.isfinite(rewards["reward"].to_numpy(np.float64))).argmax())
        raise ValueError(f"rewards: row {row}: reward is {rewards['reward'].iloc[row]}, expected a finite number")
    margins = {
        str(entry.model): pooled([entry.test[source] for source in align_sources]).margins
        for entry in scored_models(scores)
        if all(source in entry.test for source in align_sources)
    }
    rows = []
    for key, group in rewards.groupby(list(MODEL_KEY), sort=True):
        name = str(RewardModelId(*cast(tuple[str, str, str, str, int], key)))
        if name not in margins:
            raise ValueError(f"scores: the reward model {name} has no test scores on every one of {align_sources}")
        numbers = best_of_n(group)["number"].to_numpy()
        for factor in FACTORS:
            picked = best_of_n(group.assign(reward=group["reward"] * factor))["number"].to_numpy()
            rows.append(
                dict(zip(MODEL_KEY, key, strict=True))
                | {"factor": factor, "ece": ece_of(margins[name] * factor, stats.bins)}
                | {"changed_picks": int((picked != numbers).sum()), "n_prompts": len(numbers)}
            )
    return tables.check(pd.DataFrame(rows), "placebo")
