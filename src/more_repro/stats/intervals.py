"""Intervals around an estimate, and the quantiles that their half-widths are multiples of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]  # of any shape
Vector = NDArray[np.float64]  # (n,)
Codes = NDArray[np.int64]  # (n,), numbers of groups
NAN = float("nan")
_DUST = 1e-12  # a spread this small beside the estimate is rounding


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its limits; NaN limits and p where the data do not determine them. n: number of units."""

    estimate: float
    low: float = NAN
    high: float = NAN
    p: float = NAN
    n: int = 0

    def columns(self) -> dict[str, float]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high}

    def values(self) -> tuple[float, float, float]:
        """(estimate, low, high), in the order of `columns`."""
        return self.estimate, self.low, self.high

    def within(self, least: float, most: float) -> "Interval":
        """With limits cut to what the quantity can be; NaN stays NaN."""
        low, high = float(np.maximum(self.low, least)), float(np.minimum(self.high, most))
        return Interval(self.estimate, low, high, self.p, self.n)


def normal_quantile(confidence: float) -> float:
    """Half-width of the middle `confidence` of a standard normal."""
    return float(special.ndtri(0.5 + confidence / 2))


def t_quantile(confidence: float, df: ArrayLike) -> Floats:
    """Half-width of the middle `confidence` of Student's t, in the shape of df; df = inf gives the normal's."""
    return np.asarray(special.stdtrit(df, 0.5 + confidence / 2), dtype=np.float64)


def normal_interval(estimate: float, error: float, confidence: float, n: int = 0) -> Interval:
    """Normal interval of an estimate with a standard error; NaN limits where one of them is NaN."""
    half = normal_quantile(confidence) * error
    return Interval(estimate, estimate - half, estimate + half, n=n)


def t_interval(estimate: float, error: float, df: float, confidence: float, n: int) -> Interval:
    """Student interval and two-sided p; without degrees of freedom or with a NaN error only the estimate stays."""
    if df <= 0 or not np.isfinite(error) or not np.isfinite(estimate):
        return Interval(estimate, n=n)
    half = float(t_quantile(confidence, df)) * error
    certain = 1.0 if estimate == 0 else 0.0  # no spread at all
    p = float(2 * special.stdtr(df, -abs(estimate) / error)) if error > 0 else certain
    return Interval(estimate, estimate - half, estimate + half, p, n)


def mean_interval(values: ArrayLike, confidence: float) -> Interval:
    """Mean of values (n,) with its t interval and the p of "mean = 0". Fewer than two values: no limits.

    Nor where values do not differ at all around a mean that is not 0: replicates that agree to the last digit are
    few or not independent, and no proof of certainty. Values that are all exactly 0 (equal models) have p 1.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Interval(NAN)
    error = float(array.std(ddof=1)) / np.sqrt(array.size) if array.size > 1 else NAN
    mean = float(array.mean())
    return t_interval(mean, _believed(float(error), mean), array.size - 1, confidence, array.size)


def stratified_mean(values: ArrayLike, strata: Sequence[object], confidence: float) -> Interval:
    """Plain mean of the strata's means, its error from the spread within strata (one common variance).

    Bases are the strata and seeds the replicates: the interval is about these bases, over training seeds.
    values (n,), strata (n,). No stratum with two values, or no spread within any (see `mean_interval`): no limits.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Interval(NAN)
    codes = np.unique([str(name) for name in strata], return_inverse=True)[1]
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=array) / counts
    df = array.size - counts.size
    spread = float(np.square(array - means[codes]).sum())
    error = np.sqrt(spread / df * (1 / counts).sum()) / counts.size if df > 0 else NAN
    mean = float(means.mean())
    return t_interval(mean, _believed(float(error), mean), df, confidence, array.size)


def _believed(error: float, mean: float) -> float:
    """The error of a mean of replicates, NaN where it is nothing and the mean is something."""
    return NAN if mean != 0 and error <= _DUST * abs(mean) else error


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Limits of Wilson's score interval of a share among n (possibly an effective n): in [0, 1], round the share.

    quantile: of the normal, or of Student's t where the effective n is itself an estimate.
    """
    z2 = quantile * quantile
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * float(np.sqrt(max(share * (1 - share), 0.0) / n + z2 / (4 * n * n)))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def satterthwaite_df(variances: Sequence[ArrayLike], df: Sequence[int]) -> Floats:
    """Degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946); inf where all of them are 0.

    variances: arrays of one shape, or numbers; df: of each. A variance without degrees of freedom must be 0.
    """
    total = np.sum(np.asarray(variances, dtype=np.float64), axis=0)
    parts = [np.square(variance) / own for variance, own in zip(variances, df, strict=True) if own > 0]
    spread = np.sum(np.asarray(parts, dtype=np.float64), axis=0)
    return np.divide(total**2, spread, out=np.full_like(total, np.inf), where=spread > 0)
