"""Intervals of means, shares and quantiles over pairs, where pairs of one prompt are not independent."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

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


def normal(value: float, variance: float, confidence: float, n_clusters: int | None = None) -> Interval:
    """An estimate with a normal interval, or with Student's where the variance is estimated from n_clusters."""
    half = quantile(confidence, n_clusters) * float(variance) ** 0.5
    return Interval(value, value - half, value + half)


def clustered_mean(values: Floats, clusters: Codes, confidence: float) -> Interval:
    """Mean of values (n,) with Student's interval, whose variance is that of cluster sums (linearised ratio)."""
    if len(values) == 0:
        return plain(float("nan"))
    return normal(float(values.mean()), clustered_variance(values, clusters), confidence, len(np.unique(clusters)))


def clustered_share(values: Floats, clusters: Codes, confidence: float, more_variance: float = 0.0) -> Interval:
    """Mean of values (n,) in [0, 1], with Wilson's interval at the number of pairs that clustering leaves.

    more_variance: variance of the mean for another reason than the choice of these values, added to theirs.
    """
    if len(values) == 0:
        return plain(float("nan"))
    variance = clustered_variance(values, clusters) + more_variance
    return wilson(float(values.mean()), variance, len(values), len(np.unique(clusters)), confidence)


def clustered_quantile(values: Floats, clusters: Codes, share: float, confidence: float) -> Interval:
    """The smallest value (n,) that `share` of them do not exceed, with Woodruff's interval.

    The interval of the share of values at or below the estimate is carried back to values (Woodruff 1952).
    """
    if len(values) == 0:
        return plain(float("nan"))
    ranked = np.sort(values)
    estimate = _at(ranked, share)
    variance = clustered_variance((values <= estimate).astype(np.float64), clusters)
    _, low, high = wilson(share, variance, len(values), len(np.unique(clusters)), confidence)
    return Interval(estimate, min(estimate, _at(ranked, low)), max(estimate, _at(ranked, high)))


def wilson(share: float, variance: float, n: int, n_clusters: int, confidence: float) -> Interval:
    """Wilson's interval of a share whose variance is known, at the effective number share(1-share) / variance.

    That number is at most n, and n_clusters where values do not vary or their variance is not known. The quantile is
    Student's with n_clusters - 1 degrees of freedom, so that few prompts give a wide interval.
    """
    spread = share * (1 - share)
    effective = min(float(n), spread / variance) if variance > 0 and spread > 0 else float(n_clusters)
    z2 = quantile(confidence, n_clusters) ** 2
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


def quantile(confidence: float, n_clusters: int | None = None) -> float:
    """The quantile of a two-sided interval: normal, or Student's with n_clusters - 1 degrees of freedom, at least 1."""
    if n_clusters is not None:
        return float(stdtrit(max(n_clusters - 1, 1), 0.5 + confidence / 2))
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _at(ranked: Floats, share: float) -> float:
    place = int(np.ceil(share * len(ranked) - 1e-9)) - 1
    return float(ranked[min(max(place, 0), len(ranked) - 1)])
