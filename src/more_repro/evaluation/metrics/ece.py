"""Expected calibration error on folded confidence, and what a calibrated reward model would show.

confidence = sigmoid(|margin|), the larger of p and 1 - p; bins [a, b) of equal width on [0, 1], so M = 10 bins are five
on [0.5, 1]. For even M this is the two-sided ECE of the paper's code. A tie has confidence and correctness one half: it
adds to n and to no gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from more_repro.evaluation.metrics.accuracy import correctness
from more_repro.stats.intervals import NAN, Codes, Vector

NULL_GAP = 0.005  # the smallest ECE difference of interest: nulls further apart make two ECEs incomparable


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
    A bin's number of right pairs is drawn from its exact (Poisson-binomial) law: the law of a redraw of every pair, at
    a fraction of the time.
    """
    uniform = rng.random((draws, n_bins))
    gaps = np.zeros((draws, n_bins))
    parts = _by_bin(margins, n_bins)
    for (number, inside), law in zip(parts.items(), poisson_binomials(list(parts.values())), strict=True):
        # The sum of the probabilities may end below 1 by rounding; a draw beyond it is the largest count.
        hits = np.minimum(np.searchsorted(np.cumsum(law), uniform[:, number], side="right"), inside.size)
        gaps[:, number] = hits - inside.sum()
    return gaps


def _by_bin(margins: Vector, n_bins: int) -> dict[int, Vector]:
    """Confidences of the bins that have pairs; ties, which add no gap, left out."""
    confidence = expit(np.abs(margins[margins != 0]))
    codes = bin_of(confidence, n_bins)
    ordered = confidence[np.argsort(codes, kind="stable")]
    ends = np.cumsum(np.bincount(codes, minlength=n_bins))
    parts = np.split(ordered, ends[:-1])
    return {number: part for number, part in enumerate(parts) if part.size}


def poisson_binomials(probabilities: Sequence[Vector]) -> list[Vector]:
    """P(0), ..., P(n) (n + 1,) of the sum of independent Bernoulli draws, for each set of probabilities (n,).

    Convolved two by two, all sets at once, so n log^2 n operations of the largest.
    """
    if not probabilities:
        return []
    size = 1 << (max(one.size for one in probabilities) - 1).bit_length()
    padded = np.zeros((len(probabilities), size))
    for row, one in zip(padded, probabilities, strict=True):
        row[: one.size] = one
    laws = np.stack([1 - padded, padded], axis=-1)
    while laws.shape[1] > 1:
        width = 2 * laws.shape[2] - 1
        spectrum = np.fft.rfft(laws, 1 << (width - 1).bit_length())
        laws = np.fft.irfft(spectrum[:, ::2] * spectrum[:, 1::2])[..., :width]
    return [np.maximum(law[0, : one.size + 1], 0.0) for law, one in zip(laws, probabilities, strict=True)]


def null_mean(margins: Vector, n_bins: int) -> float:
    """Expected ECE of a calibrated model with these confidences, exact. margins (n,)."""
    parts = list(_by_bin(margins, n_bins).values())
    total = 0.0
    for inside, law in zip(parts, poisson_binomials(parts), strict=True):
        total += float(law @ np.abs(np.arange(inside.size + 1) - inside.sum()))
    return total / margins.size


def null_ece(gaps: NDArray[np.float64], n_pairs: int) -> Vector:
    """ECE of each draw (draws,) from its gaps (draws, M)."""
    return np.abs(gaps).sum(axis=1) / n_pairs


def comparable(null_mean: float, other: float) -> bool:
    """Whether two ECEs may be set side by side: sample size alone puts them at most NULL_GAP apart."""
    return abs(null_mean - other) <= NULL_GAP


def _refuse(margins: Vector, n_bins: int) -> None:
    if n_bins < 2 or n_bins % 2:
        raise ValueError(f"ece: {n_bins} bins; an even number is needed, or folded and two-sided ECE differ")
    if margins.size == 0:
        raise ValueError("ece: no pairs, expected at least one")
    if not np.isfinite(margins).all():
        row = int((~np.isfinite(margins)).argmax())
        raise ValueError(f"ece: margin {row} is {margins[row]}, expected a finite number")
