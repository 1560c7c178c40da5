"""Means, shares and quantiles of units that are drawn in clusters: pairs of one prompt are not independent."""

import numpy as np

from more_repro.stats.intervals import NAN, Codes, Floats, Interval, Vector, t_interval, t_quantile, wilson


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
    return variance_of_sum(values - values.mean(), clusters) / values.size**2


def effective_number(share: float, variance: float, n: int, groups: int) -> float:
    """How many independent units would give a share this variance: share (1 - share) / variance, from 1 to n.

    groups, the number of clusters, where values do not vary or their variance is not known.
    """
    spread = share * (1 - share)
    if not (variance > 0 and spread > 0):
        return float(groups)
    return float(np.clip(spread / variance, 1.0, n))


def clustered_mean(values: Vector, clusters: Codes, confidence: float) -> Interval:
    """Mean of values (n,) with Student's interval on G - 1 degrees of freedom. One cluster: no limits."""
    if not values.size:
        return Interval(NAN)
    mean = float(values.mean())
    error = float(np.sqrt(variance_of_sum(values - mean, clusters))) / values.size
    return t_interval(mean, error, n_clusters(clusters) - 1, confidence, values.size)


def clustered_share(values: Vector, clusters: Codes, confidence: float, more_variance: float = 0.0) -> Interval:
    """Mean of values (n,) in [0, 1], with Wilson's interval at the number of units that clustering leaves.

    more_variance: variance of the mean for another reason than the choice of these values, added to theirs.
    """
    if not values.size:
        return Interval(NAN)
    variance = variance_of_mean(values, clusters) + more_variance
    return share_interval(float(values.mean()), variance, values.size, n_clusters(clusters), confidence)


def clustered_quantile(values: Vector, clusters: Codes, share: float, confidence: float) -> Interval:
    """The smallest value (n,) that `share` of them do not exceed, with Woodruff's interval.

    The interval of the share of values at or below the estimate is carried back to values (Woodruff 1952).
    """
    if not values.size:
        return Interval(NAN)
    ranked = np.sort(values)
    estimate = _at(ranked, share)
    variance = variance_of_mean((values <= estimate).astype(np.float64), clusters)
    at = share_interval(share, variance, values.size, n_clusters(clusters), confidence)
    return Interval(estimate, min(estimate, _at(ranked, at.low)), max(estimate, _at(ranked, at.high)), n=values.size)


def share_interval(share: float, variance: float, n: int, groups: int, confidence: float) -> Interval:
    """Wilson's interval of a share of n units in `groups` clusters whose variance is known, at its effective number.

    The quantile is Student's with groups - 1 degrees of freedom, so that few clusters give a wide interval.
    """
    quantile = float(t_quantile(confidence, max(groups - 1, 1)))
    low, high = wilson(share, effective_number(share, variance, n, groups), quantile)
    return Interval(share, low, high, n=n)


def _at(ranked: Floats, share: float) -> float:
    place = int(np.ceil(share * len(ranked) - 1e-9)) - 1
    return float(ranked[min(max(place, 0), len(ranked) - 1)])
