"""ECE differences of two reward models that are both perfectly calibrated: the noise a printed difference faces."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from more_repro.evaluation.ece import bin_of
from more_repro.evaluation.intervals import Vector

_CHUNK = 1 << 20


def null_differences(
    accuracy: float,
    n_pairs: Sequence[int],
    n_bins: int,
    draws: int,
    rng: np.random.Generator,
    correlation: float = 0.0,
) -> Vector:
    """Draws (draws,) of [mean ECE over test sets] of one calibrated model minus that of another on the same pairs.

    Margins are 2a(a + e), e standard normal and a the normal quantile of the accuracy: exactly calibrated, and right
    with that accuracy. correlation: of e between the two models; 0 is the widest and so the cautious choice.
    Raises ValueError: an accuracy outside (.5, 1).
    """
    if not 0.5 < accuracy < 1:
        raise ValueError(f"accuracy is {accuracy}, expected more than .5 and less than 1")
    a = float(stats.norm.ppf(accuracy))
    total = np.zeros(draws)
    for n in n_pairs:
        step = max(1, _CHUNK // n)
        for first in range(0, draws, step):
            shape = (min(step, draws - first), n)
            noise = rng.standard_normal(shape)
            other = correlation * noise + np.sqrt(1 - correlation**2) * rng.standard_normal(shape)
            rows = slice(first, first + shape[0])
            total[rows] += _ece_rows(2 * a * (a + noise), n_bins) - _ece_rows(2 * a * (a + other), n_bins)
    return total / len(n_pairs)


def _ece_rows(margins: NDArray[np.float64], n_bins: int) -> Vector:
    """ECE of each row (draws, n) -> (draws,)."""
    confidence = expit(np.abs(margins))
    gaps = (margins > 0) - confidence
    codes = bin_of(confidence.ravel(), n_bins) + n_bins * np.repeat(np.arange(len(margins)), margins.shape[1])
    sums = np.bincount(codes, weights=gaps.ravel(), minlength=n_bins * len(margins)).reshape(-1, n_bins)
    return np.asarray(np.abs(sums).sum(axis=1) / margins.shape[1], dtype=np.float64)
