"""MORE with the solver of the paper's code: Frank-Wolfe from the best two sources (Sener and Koltun, algorithm 2)."""

from collections.abc import Sequence

import numpy as np
import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled, uniform

MAX_STEPS = 1000
SMALLEST_CHANGE = 1e-5  # of lambda, summed over sources; both numbers as in the paper's code


class FrankWolfe(GramWeighting):
    """As More, with an iterative solver. Of equal gradients it keeps the first; the exact solver shares them out."""

    def __init__(self, alpha: float = 0.99, normalization: Normalization = "l2") -> None:
        super().__init__(frank_wolfe_weights, alpha, normalization)


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return FrankWolfe(**spec.of_gradients())


def frank_wolfe_weights(gram: torch.Tensor) -> torch.Tensor:
    """lambda (K,) float64 near the least norm, from the Gram matrix (K, K).

    The ends of a segment are 0 and 1; the paper's code has .001 and .999 there, which keeps it moving at a vertex.
    """
    matrix = scaled(gram).numpy()
    if matrix.diagonal().max() <= 0:
        return uniform(gram)
    weights = _best_two(matrix)
    for _ in range(MAX_STEPS if len(matrix) > 2 else 0):
        slopes = matrix @ weights
        vertex = int(slopes.argmin())
        stay = _segment(float(weights @ slopes), float(slopes[vertex]), float(matrix[vertex, vertex]))
        moved = stay * weights
        moved[vertex] += 1 - stay
        if np.abs(moved - weights).sum() < SMALLEST_CHANGE:
            break
        weights = moved
    return torch.from_numpy(weights)


def _best_two(matrix: np.ndarray) -> np.ndarray:
    """The least norm over the segments between every two sources."""
    n = len(matrix)
    weights, best = np.zeros(n), np.inf
    weights[0] = 1.0
    for first in range(n):
        for second in range(first + 1, n):
            a, b, c = matrix[first, first], matrix[first, second], matrix[second, second]
            share = _segment(a, b, c)
            value = share**2 * a + 2 * share * (1 - share) * b + (1 - share) ** 2 * c
            if value < best:
                best, weights = value, np.zeros(n)
                weights[first], weights[second] = share, 1 - share
    return weights


def _segment(a: float, b: float, c: float) -> float:
    """Share of x in the shortest point of the segment from x to y, with a = x.x, b = x.y, c = y.y."""
    if b >= a:
        return 1.0
    if b >= c:
        return 0.0
    return (c - b) / (a + c - 2 * b)
