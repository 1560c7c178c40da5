"""ECE of reward models that are perfectly calibrated: the noise that a printed ECE, or a difference of two, faces."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq
from scipy.special import expit

from more_repro.evaluation.metrics.ece import bin_of
from more_repro.stats.intervals import Vector

Matrix = NDArray[np.float64]
_SAMPLE = 1 << 15  # invented pairs from which the covariance of two models' gaps is taken
_GRID = 4000
_LARGEST = 50.0  # scale


def null_pairs(
    first: Sequence[float],
    second: Sequence[float],
    n_pairs: Sequence[int],
    n_bins: int,
    draws: int,
    rng: np.random.Generator,
    correlation: float = 0.0,
    scale: float = 1.0,
) -> tuple[Vector, Vector]:
    """Mean ECE over test sets of two reward models on the same pairs, (draws,) each.

    first, second: their accuracies by test set; n_pairs: its size. Margins are scale * 2a(a + e), e standard normal and
    a the normal quantile of the accuracy: right with that accuracy, and calibrated at scale 1. correlation: of e
    between the two models; 0 is the widest and so the cautious choice. The gaps of the bins are sums over many pairs:
    they are drawn from the normal law with their moments. Raises ValueError: an accuracy outside (.5, 1).
    """
    one, two = np.zeros(draws), np.zeros(draws)
    for a, b, n in zip(first, second, n_pairs, strict=True):
        mean, covariance = _moments(a, b, n_bins, rng, correlation, scale)
        gaps = mean + rng.standard_normal((draws, mean.size)) @ _root(covariance).T / np.sqrt(n)
        one += np.abs(gaps[:, :n_bins]).sum(axis=1)
        two += np.abs(gaps[:, n_bins:]).sum(axis=1)
    return one / len(n_pairs), two / len(n_pairs)


def over_confidence(accuracies: Sequence[float], n_pairs: Sequence[int], n_bins: int, error: float) -> float:
    """The scale (1 or more) at which such models show this mean ECE over their test sets, on average."""

    def gap(scale: float) -> float:
        sets = zip(accuracies, n_pairs, strict=True)
        return float(np.mean([_expected(a, n, n_bins, scale) for a, n in sets])) - error

    return 1.0 if gap(1.0) >= 0 else float(brentq(gap, 1.0, _LARGEST, xtol=1e-4))


def _expected(accuracy: float, n: int, n_bins: int, scale: float) -> float:
    """Mean ECE of n pairs: the gap of a bin is normal."""
    mean, square = _own(accuracy, n_bins, scale)
    spread = np.sqrt(np.maximum(square - mean**2, 1e-300) / n)
    z = mean / spread
    return float((spread * np.sqrt(2 / np.pi) * np.exp(-z * z / 2) + mean * (1 - 2 * special.ndtr(-z))).sum())


def _own(accuracy: float, n_bins: int, scale: float) -> tuple[Vector, Vector]:
    """Mean and mean square (M,) of one pair's gap, correct minus confidence, in each bin; by quadrature over e."""
    place, gap = _gap(accuracy, special.ndtri((np.arange(_GRID) + 0.5) / _GRID), n_bins, scale)
    mean = np.bincount(place, gap, n_bins) / _GRID if scale != 1.0 else np.zeros(n_bins)  # calibrated: 0 by definition
    return mean, np.bincount(place, gap**2, n_bins) / _GRID


def _moments(
    first: float, second: float, n_bins: int, rng: np.random.Generator, correlation: float, scale: float
) -> tuple[Vector, Matrix]:
    """Mean (2M,) and covariance (2M, 2M) of one pair's gaps in the bins of two models."""
    (mean_a, own_a), (mean_b, own_b) = (_own(accuracy, n_bins, scale) for accuracy in (first, second))
    both = np.outer(mean_a, mean_b)
    if correlation:
        noise = rng.standard_normal(_SAMPLE)
        other = correlation * noise + np.sqrt(1 - correlation**2) * rng.standard_normal(_SAMPLE)
        (place_a, gap_a), (place_b, gap_b) = (_gap(a, e, n_bins, scale) for a, e in ((first, noise), (second, other)))
        sums = np.bincount(place_a * n_bins + place_b, gap_a * gap_b, n_bins**2)
        both = sums.reshape(n_bins, n_bins) / _SAMPLE
    mean = np.concatenate([mean_a, mean_b])
    return mean, np.block([[np.diag(own_a), both], [both.T, np.diag(own_b)]]) - np.outer(mean, mean)


def _gap(accuracy: float, noise: Vector, n_bins: int, scale: float) -> tuple[NDArray[np.int64], Vector]:
    if not 0.5 < accuracy < 1:
        raise ValueError(f"accuracy is {accuracy}, expected more than .5 and less than 1")
    a = float(special.ndtri(accuracy))
    margins = scale * 2 * a * (a + noise)
    confidence = expit(np.abs(margins))
    return bin_of(confidence, n_bins), (margins > 0) - confidence


def _root(covariance: Matrix) -> Matrix:
    """A square root of a covariance that may be singular (two equal models)."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)), dtype=np.float64)
