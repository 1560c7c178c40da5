"""Bootstrap over units that were drawn together: how often each one stands in a resample, and the interval."""

import numpy as np

from more_repro.params import Stats


def resample_counts(n: int, stats: Stats) -> np.ndarray:
    """How often each of n units is drawn, shape (draws, n); from the stats' seed alone.

    All policies of a table are given the same counts, so that their intervals differ by their texts only.
    """
    rng = np.random.default_rng([stats.seed, n])
    return rng.multinomial(n, np.full(n, 1.0 / n), size=stats.bootstrap_draws).astype(np.float64)


def interval(draws: np.ndarray, stats: Stats) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bounds over the first axis. A resample without a valid unit is NaN and is left out."""
    tail = 50.0 * (1.0 - stats.confidence)
    low, high = np.nanpercentile(draws, [tail, 100.0 - tail], axis=0)
    return low, high
