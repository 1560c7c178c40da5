"""Intervals and p from draws: bootstrap resamples of units, or draws under a null."""

import numpy as np

from more_repro.params import Stats
from more_repro.stats.intervals import Floats
from more_repro.stats.random import numbered

_DUST = 1e-12  # a draw below the observed value by less than this equals it but for rounding


def resample_counts(n: int, stats: Stats) -> Floats:
    """How often each of n units is drawn, shape (draws, n); from the stats' seed alone.

    All policies of a table are given the same counts, so that their intervals differ by their texts only.
    """
    rng = numbered(stats.seed, n)
    return rng.multinomial(n, np.full(n, 1.0 / n), size=stats.bootstrap_draws).astype(np.float64)


def percentile_interval(draws: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Percentile bounds over the first axis. A draw that is NaN (a resample without a valid unit) is left out."""
    quantile = np.nanquantile if np.isnan(draws).any() else np.quantile  # the first goes column by column
    low, high = quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def monte_carlo_p(null: Floats, observed: float) -> float:
    """P under the null (draws,) of a value at least as large as the observed one, which counts as a draw itself."""
    return float((1 + (null >= observed - _DUST).sum()) / (1 + null.size))
