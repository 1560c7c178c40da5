"""Expected calibration error on folded confidence, and what a calibrated reward model would show.

confidence = sigmoid(|margin|), the larger of p and 1 - p; bins [a, b) of equal width on [0, 1], so M = 10 bins are five
on [0.5, 1]. For even M this is the two-sided ECE of the paper's code. A tie has confidence and correctness one half: it
adds to n and to no gap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from more_repro.evaluation.accuracy import correctness
from more_repro.evaluation.intervals import NAN, Codes, Vector

_CHUNK = 1 << 20  # uniforms held at once; the stream, and so every number, does not depend on it


@dataclass(frozen=True, slots=True)
class Bins:
    """Sums over the bins of equal width, arrays (M,): pairs, confidence, and correctness."""

    n_pairs: Codes
    confidence: Vector
    correct: Vector

    @property
    def gaps(self) -> Vector:
        """Correct minus confidence, summed over each bin."""
        return self.correct - self.confidence


def bin_of(confidence: Vector, n_bins: int) -> Codes:
    """Bin of each confidence (n,); 1.0 belongs to the last bin."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    return np.minimum(np.searchsorted(edges, confidence, side="right") - 1, n_bins - 1).astype(np.int64)


def fold(margins: Vector, n_bins: int, correct: Vector | None = None) -> Bins:
    """Fold margins (n,) into bins; `correct` (n,) replaces the observed correctness, e.g. by true probabilities.

    Raises ValueError: no pairs, margins that are not finite, an odd number of bins.
    """
    _refuse(margins, n_bins)
    confidence = expit(np.abs(margins))
    correct = correctness(margins) if correct is None else correct
    codes = bin_of(confidence, n_bins)
    return Bins(
        np.bincount(codes, minlength=n_bins).astype(np.int64),
        np.bincount(codes, weights=confidence, minlength=n_bins).astype(np.float64),
        np.bincount(codes, weights=correct, minlength=n_bins).astype(np.float64),
    )


def ece(bins: Bins) -> float:
    """Mean over bins, weighted by size, of |accuracy - mean confidence|."""
    return float(np.abs(bins.gaps).sum() / bins.n_pairs.sum())


def mce(bins: Bins) -> float:
    """Largest |accuracy - mean confidence| of a bin that has pairs."""
    full = bins.n_pairs > 0
    return float(np.abs(bins.gaps[full] / bins.n_pairs[full]).max())


def ece_of(margins: Vector, n_bins: int) -> float:
    """ECE of margins (n,)."""
    return ece(fold(margins, n_bins))


def ece_true(margins: Vector, true_preference: Vector, n_bins: int) -> float:
    """ECE against P(chosen preferred) (n,): no label noise, a perfect model scores 0. NaN if some are unknown."""
    if np.isnan(true_preference).any():
        return NAN
    favoured = np.where(margins > 0, true_preference, np.where(margins < 0, 1 - true_preference, 0.5))
    return ece(fold(margins, n_bins, favoured))


def equal_mass(margins: Vector, n_bins: int) -> tuple[float, float]:
    """ECE over bins of equal count, and the debiased L2 calibration error over the same bins.

    L2: per bin the squared gap less its sampling variance a(1 - a) / (n_b - 1), weighted by size; the square root of
    the positive part. NaN where a bin has fewer than two pairs.
    """
    _refuse(margins, n_bins)
    confidence = expit(np.abs(margins))
    order = np.argsort(confidence, kind="stable")
    right = correctness(margins)[order]
    ends = np.linspace(0, margins.size, min(n_bins, margins.size) + 1).round().astype(np.int64)
    counts = np.diff(ends)
    accuracy = np.add.reduceat(right, ends[:-1]) / counts
    gaps = accuracy - np.add.reduceat(confidence[order], ends[:-1]) / counts
    error = float(np.abs(gaps) @ counts / margins.size)
    if counts.min() < 2 or counts.size < n_bins:
        return error, NAN
    spread = np.add.reduceat(np.square(right - np.repeat(accuracy, counts)), ends[:-1])
    squared = float((np.square(gaps) - spread / (counts - 1) / counts) @ counts / margins.size)
    return error, float(np.sqrt(max(squared, 0.0)))


def null_gaps(margins: Vector, n_bins: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaps (draws, M) of a calibrated model: correct ~ Bernoulli(confidence), confidence as it is.

    ECE of draw r = |gaps[r]|.sum() / n. Gaps of disjoint sets of pairs add, which gives the pools their null for free.
    Uniforms are float32: a confidence is rounded by less than 6e-8.
    """
    confidence = expit(np.abs(margins[margins != 0]))
    codes = bin_of(confidence, n_bins)
    order = np.argsort(codes, kind="stable")
    threshold = confidence[order].astype(np.float32)
    ends = np.searchsorted(codes[order], np.arange(n_bins + 1))
    expected = np.bincount(codes, weights=confidence, minlength=n_bins)
    gaps = np.zeros((draws, n_bins))
    step = max(1, _CHUNK // max(threshold.size, 1))
    for first in range(0, draws, step):
        last = min(first + step, draws)
        hits = (rng.random((last - first, threshold.size), dtype=np.float32) < threshold).view(np.uint8)
        for number in np.flatnonzero(np.diff(ends)):
            part = hits[:, ends[number] : ends[number + 1]]
            gaps[first:last, number] = part.sum(axis=1, dtype=np.int32) - expected[number]
    return gaps


def null_ece(gaps: NDArray[np.float64], n_pairs: int) -> Vector:
    """ECE of each draw (draws,) from its gaps (draws, M)."""
    return np.abs(gaps).sum(axis=1) / n_pairs


def _refuse(margins: Vector, n_bins: int) -> None:
    if n_bins < 2 or n_bins % 2:
        raise ValueError(f"ece: {n_bins} bins; an even number is needed, or folded and two-sided ECE differ")
    if margins.size == 0:
        raise ValueError("ece: no pairs, expected at least one")
    if not np.isfinite(margins).all():
        row = int((~np.isfinite(margins)).argmax())
        raise ValueError(f"ece: margin {row} is {margins[row]}, expected a finite number")
