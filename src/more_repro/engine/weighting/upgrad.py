"""UPGrad (Jacobian descent, arXiv 2406.16232): every gradient moved the least way to where it conflicts with none."""

from collections.abc import Sequence

import numpy as np
import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled, uniform

RIDGE = 1e-8  # of a Gram matrix scaled to 1: one answer where gradients are dependent
_DUST = 1e-12


class UpGrad(GramWeighting):
    """The mean of the projections of g_1 ... g_K onto the cone of directions that raise no source's loss."""

    def __init__(self, alpha: float = 1.0, normalization: Normalization = "none") -> None:
        super().__init__(upgrad_weights, alpha, normalization)


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return UpGrad(**spec.of_gradients())


def upgrad_weights(gram: torch.Tensor, ridge: float = RIDGE) -> torch.Tensor:
    """Weights (K,) float64, each at least 1/K, from the Gram matrix (K, K): the mean over k of
    argmin v'Gv over v >= e_k (proposition 1 there)."""
    n = gram.shape[0]
    matrix = scaled(gram)
    if matrix.diagonal().max() <= 0:
        return uniform(gram)
    matrix = matrix + ridge * torch.eye(n, dtype=torch.float64)
    dense = matrix.numpy()
    raised = [non_negative_minimum(dense, dense[:, source]) for source in range(n)]
    return torch.from_numpy(np.mean(np.eye(n) + raised, axis=0))


def non_negative_minimum(matrix: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """argmin over w >= 0 of w'Mw / 2 + linear.w, M (K, K) positive definite, by Lawson and Hanson's active set."""
    weights = np.zeros(len(matrix))
    free = np.zeros(len(matrix), dtype=bool)
    for _ in range(10 * len(matrix)):
        slopes = np.where(free, np.inf, matrix @ weights + linear)
        if slopes.min() >= -_DUST:
            break
        free[slopes.argmin()] = True
        weights, free = _inner(matrix, linear, weights, free)
    return weights


def _inner(
    matrix: np.ndarray, linear: np.ndarray, weights: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move to the minimum over the free weights, fixing at zero those that would become negative on the way."""
    while free.any():
        target = np.zeros_like(weights)
        target[free] = np.linalg.solve(matrix[np.ix_(free, free)], -linear[free])
        falling = free & (target <= 0)
        if not falling.any():
            return target, free
        share = (weights[falling] / (weights[falling] - target[falling])).min()
        weights = weights + share * (target - weights)
        free = free & (weights > _DUST)
        weights = np.where(free, weights, 0.0)
    return weights, free
