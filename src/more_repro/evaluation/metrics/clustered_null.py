"""What pairs of one prompt do to the null of ECE: their labels go together, so gaps of bins spread more."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from more_repro.evaluation.metrics.accuracy import correctness
from more_repro.evaluation.metrics.ece import bin_of
from more_repro.stats.intervals import Codes, Vector

Matrix = NDArray[np.float64]


def spread_by_prompt(gaps: Matrix, margins: Vector, prompts: Codes) -> Matrix:
    """Null gaps (draws, M) of independent pairs, spread and turned as pairs (n,) of the same prompt (n,) make them.

    The covariance of the gaps gains, for each two pairs of a prompt, the product of their residuals (correct minus
    confidence, less the mean gap of their bin, which is miscalibration and no noise). One pair to a prompt changes
    nothing, to the last bit.
    """
    if np.unique(prompts).size == prompts.size:
        return gaps
    n_bins = gaps.shape[1]
    confidence = expit(np.abs(margins))
    place = bin_of(confidence, n_bins)
    residual = correctness(margins) - confidence
    counts = np.maximum(np.bincount(place, minlength=n_bins), 1)
    residual = residual - (np.bincount(place, residual, n_bins) / counts)[place]
    extra = _products(residual, place, prompts, n_bins)
    own = np.bincount(place, np.where(margins != 0, confidence * (1 - confidence), 0.0), n_bins)
    used = own > 0
    scale = np.sqrt(own[used])
    values, vectors = np.linalg.eigh(np.eye(scale.size) + extra[np.ix_(used, used)] / np.outer(scale, scale))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    spread = gaps.copy()
    spread[:, used] = (gaps[:, used] / scale) @ root * scale
    return np.asarray(spread, dtype=np.float64)


def _products(residual: Vector, place: Codes, prompts: Codes, n_bins: int) -> Matrix:
    """Sums (M, M) of the products of residuals of two different pairs of one prompt, by their bins."""
    codes = np.unique(prompts, return_inverse=True)[1]
    sums = np.bincount(codes * n_bins + place, residual, (int(codes.max()) + 1) * n_bins).reshape(-1, n_bins)
    return np.asarray(sums.T @ sums - np.diag(np.bincount(place, residual**2, n_bins)), dtype=np.float64)
