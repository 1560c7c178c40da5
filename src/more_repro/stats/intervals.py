"""Small-sample intervals and multiple testing, shared by every table of this room."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]
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


def t_interval(estimate: float, error: float, df: float, confidence: float, n: int) -> Interval:
    """Student interval and two-sided p; without degrees of freedom or with a NaN error only the estimate stays."""
    if df <= 0 or not np.isfinite(error) or not np.isfinite(estimate):
        return Interval(estimate, n=n)
    half = float(special.stdtrit(df, 0.5 + confidence / 2)) * error
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


def normal_quantile(confidence: float) -> float:
    """Half-width of the middle `confidence` of a standard normal."""
    return float(special.ndtri(0.5 + confidence / 2))


def wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share among n (possibly an effective n); stays in [0, 1]."""
    z = normal_quantile(confidence)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def holm(p_values: ArrayLike) -> Vector:
    """Holm's step-down adjusted p of one family (m,); NaN stays NaN and does not count in the family."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, NAN)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
