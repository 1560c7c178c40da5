"""Intervals of means and shares over pairs, where pairs of one prompt are not independent."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Interval(NamedTuple):
    """An estimate with the ends of its interval; NaN ends where none is defined."""

    estimate: float
    low: float
    high: float


def plain(value: float) -> Interval:
    """A number that is counted, not estimated."""
    return Interval(value, float("nan"), float("nan"))


def clustered_mean(values: Floats, clusters: Codes, confidence: float) -> Interval:
    """Mean of values (n,) with a normal interval whose variance is that of cluster sums (linearised ratio)."""
    if len(values) == 0:
        return plain(float("nan"))
    mean = float(values.mean())
    half = quantile(confidence) * clustered_variance(values, clusters) ** 0.5
    return Interval(mean, mean - half, mean + half)


def clustered_share(values: Floats, clusters: Codes, confidence: float) -> Interval:
    """Mean of values (n,) in [0, 1], with Wilson's interval at the number of pairs that clustering leaves.

    That number is p(1-p) / clustered variance, at most n; the number of clusters where the values do not vary.
    """
    n = len(values)
    if n == 0:
        return plain(float("nan"))
    share = float(values.mean())
    variance = clustered_variance(values, clusters)
    effective = min(n, share * (1 - share) / variance) if variance > 0 else len(np.unique(clusters))
    z2 = quantile(confidence) ** 2
    centre = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    half = (z2 * (share * (1 - share) / effective + z2 / (4 * effective**2))) ** 0.5 / (1 + z2 / effective)
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def clustered_variance(values: Floats, clusters: Codes) -> float:
    """Variance of the mean of values (n,); NaN with fewer than two clusters."""
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values - values.mean())
    if len(sums) < 2:
        return float("nan")
    return float((sums**2).sum() / len(values) ** 2 * len(sums) / (len(sums) - 1))


def quantile(confidence: float) -> float:
    """The normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)
