"""Ensembles: one reward function of several, after their levels and scales have been made comparable.

Bradley-Terry fixes differences of rewards alone, and how large they become is a matter of training: the members'
own rewards cannot be set beside each other. Each is standardised by mean and sd of its rewards on the validation pairs,
and the result is brought back to the mean of these sd, so that margins stay in logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from more_repro.schemes import CAUTIOUS, MINIMUM, WEIGHTED

# Of the variance over members, in standardised rewards; fixed before any run (docs/decisions.md, A24).
CAUTION = 0.5


@dataclass(frozen=True, slots=True)
class Scales:
    """Level and scale of each of K members: mean and sd (K,) of its rewards on the validation pairs."""

    mean: np.ndarray
    sd: np.ndarray


def scales_of(rewards: np.ndarray, names: Sequence[str]) -> Scales:
    """Scales of K members from their validation rewards (K, n). Raises ValueError naming a member that gives no spread.

    names: of the members, for the error.
    """
    values = np.asarray(rewards, dtype=np.float64)
    sd = values.std(axis=1) if values.shape[1] else np.zeros(len(values))
    for name, spread in zip(names, sd, strict=True):
        if not spread > 0:
            raise ValueError(
                f"{name}: its {values.shape[1]} validation rewards have standard deviation {spread}, found in the "
                "table of scores; an ensemble needs a positive one of every member"
            )
    return Scales(values.mean(axis=1), sd)


def combine(scheme: str, rewards: np.ndarray, scales: Scales, unique_pairs: Sequence[int]) -> np.ndarray:
    """The ensemble's rewards, shape (...), of its K members' rewards (K, ...).

    ensemble_weighted: mean weighted by the different pairs that each member was trained on. ensemble_minimum: the least
    member. ensemble_cautious: mean less CAUTION times the variance over members (divisor K). All three of standardised
    rewards, whose level is 0. Raises ValueError for any other name.
    """
    values = np.asarray(rewards, dtype=np.float64)
    shape = (-1, *([1] * (values.ndim - 1)))
    standard = (values - scales.mean.reshape(shape)) / scales.sd.reshape(shape)
    if scheme == WEIGHTED:
        weights = np.asarray(unique_pairs, dtype=np.float64)
        combined = np.tensordot(weights / weights.sum(), standard, axes=1)
    elif scheme == MINIMUM:
        combined = standard.min(axis=0)
    elif scheme == CAUTIOUS:
        combined = standard.mean(axis=0) - CAUTION * standard.var(axis=0)
    else:
        raise ValueError(f"{scheme!r} is no ensemble; there are {WEIGHTED}, {MINIMUM} and {CAUTIOUS}")
    return np.asarray(combined * scales.sd.mean())
