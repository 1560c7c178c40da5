"""Means, shares and quantiles of units that are drawn in clusters: pairs of one prompt are not independent."""

from statistics import NormalDist

import numpy as np

from more_repro.stats.intervals import NAN, Codes, Floats, Interval, Vector, t_quantile


def n_clusters(clusters: Codes) -> int:
    """How many different codes (of 0 and above) there are."""
    return int(np.count_nonzero(np.bincount(clusters)))


def variance_of_sum(deviations: Vector, clusters: Codes) -> float:
    """Variance of the sum of values drawn by cluster, from their deviations (n,) from the mean; NaN for one cluster.

    Squares of the sums of clusters, times G / (G - 1). Terms of an estimating equation, which sum to 0, are deviations
    as they are. clusters: codes of 0 and above.
    """
    groups = n_clusters(clusters)
    if groups < 2:
        return NAN
    sums = np.bincount(clusters, weights=deviations)
    return float(np.square(sums).sum() * groups / (groups - 1))


def variance_of_mean(values: Vector, clusters: Codes) -> float:
    """Variance of the mean of values (n,) drawn by cluster: that of their sum over n squared; NaN for one cluster."""
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values - values.mean())
    if len(sums) < 2:
        return NAN
    return float((sums**2).sum() / len(values) ** 2 * len(sums) / (len(sums) - 1))


def normal_interval(estimate: float, variance: float, confidence: float, n_clusters: int | None = None) -> Interval:
    """An estimate with a normal interval, or with Student's where the variance is estimated from n_clusters."""
    half = quantile(confidence, n_clusters) * float(variance) ** 0.5
    return Interval(estimate, estimate - half, estimate + half)


def clustered_mean(values: Vector, clusters: Codes, confidence: float) -> Interval:
    """Mean of values (n,) with Student's interval, whose variance is that of cluster sums (linearised ratio)."""
    if len(values) == 0:
        return Interval(NAN)
    return normal_interval(
        float(values.mean()), variance_of_mean(values, clusters), confidence, len(np.unique(clusters))
    )


def clustered_share(values: Vector, clusters: Codes, confidence: float, more_variance: float = 0.0) -> Interval:
    """Mean of values (n,) in [0, 1], with Wilson's interval at the number of units that clustering leaves.

    more_variance: variance of the mean for another reason than the choice of these values, added to theirs.
    """
    if len(values) == 0:
        return Interval(NAN)
    variance = variance_of_mean(values, clusters) + more_variance
    return share_interval(float(values.mean()), variance, len(values), len(np.unique(clusters)), confidence)


def clustered_quantile(values: Vector, clusters: Codes, share: float, confidence: float) -> Interval:
    """The smallest value (n,) that `share` of them do not exceed, with Woodruff's interval.

    The interval of the share of values at or below the estimate is carried back to values (Woodruff 1952).
    """
    if len(values) == 0:
        return Interval(NAN)
    ranked = np.sort(values)
    estimate = _at(ranked, share)
    variance = variance_of_mean((values <= estimate).astype(np.float64), clusters)
    at = share_interval(share, variance, len(values), len(np.unique(clusters)), confidence)
    return Interval(estimate, min(estimate, _at(ranked, at.low)), max(estimate, _at(ranked, at.high)))


def share_interval(share: float, variance: float, n: int, n_clusters: int, confidence: float) -> Interval:
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


def quantile(confidence: float, n_clusters: int | None = None) -> float:
    """The quantile of a two-sided interval: normal, or Student's with n_clusters - 1 degrees of freedom, at least 1."""
    if n_clusters is not None:
        return float(t_quantile(confidence, max(n_clusters - 1, 1)))
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _at(ranked: Floats, share: float) -> float:
    place = int(np.ceil(share * len(ranked) - 1e-9)) - 1
    return float(ranked[min(max(place, 0), len(ranked) - 1)])
