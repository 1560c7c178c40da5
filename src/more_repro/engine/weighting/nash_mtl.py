"""Nash-MTL (arXiv 2202.01017): the bargaining solution, in which every source gains the same product of its share."""

from collections.abc import Sequence

import numpy as np
import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled, uniform

RIDGE = 1e-8  # of gradients of length 1: an answer where a mixture of the gradients is zero
_MAX_STEPS = 300
_TINY = 1e-30


class NashMtl(GramWeighting):
    """The weights a > 0 with G a = 1 / a, elementwise (their claim 3.2)."""

    def __init__(self, alpha: float = 1.0, normalization: Normalization = "none") -> None:
        super().__init__(nash_weights, alpha, normalization)


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return NashMtl(**spec.of_gradients())


def nash_weights(gram: torch.Tensor, ridge: float = RIDGE) -> torch.Tensor:
    """Weights (K,) float64 from the Gram matrix (K, K), solved for gradients of length 1: the weight of a gradient
    that is twice as long is half as large.

    G a = 1 / a says that a minimises a'Ga / 2 - sum log a, which is convex and self-concordant: damped Newton steps
    get there from anywhere. (Their code solves a sequence of approximations and stops early.)
    """
    matrix = scaled(gram).numpy()
    if matrix.diagonal().max() <= 0:
        return uniform(gram)
    lengths = np.sqrt(np.maximum(matrix.diagonal(), _TINY))
    cosines = matrix / np.outer(lengths, lengths) + ridge * np.eye(len(matrix))
    weights = np.full(len(matrix), 1.0)
    for _ in range(_MAX_STEPS):
        slopes = cosines @ weights - 1 / weights
        step = np.linalg.solve(cosines + np.diag(weights**-2), slopes)
        decrement = np.sqrt(max(float(slopes @ step), 0.0))
        weights = weights - step / (1 + decrement if decrement > 0.25 else 1)
        if decrement < 1e-10:
            break
    return torch.from_numpy(weights / lengths)
