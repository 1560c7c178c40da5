"""MORE: the point of least norm in the convex hull of the sources' head gradients (spec section 2)."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting
from more_repro.engine.weighting.solvers.min_norm import min_norm_weights


class More(GramWeighting):
    """lambda* = argmin over the simplex of || sum_k lambda_k g_k ||^2, solved exactly.

    A source whose gradient is zero is at a stationary point, and the exact answer then gives it all the weight.
    """

    def __init__(self, alpha: float = 0.99, normalization: Normalization = "l2") -> None:
        super().__init__(min_norm_weights, alpha, normalization)


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return More(**spec.of_gradients())


def more(
    head_gradients: torch.Tensor, normalization: Normalization = "l2", losses: torch.Tensor | None = None
) -> torch.Tensor:
    """lambda (K,) fp32 of one step, without memory of the steps before: for a training loop of one's own.

    head_gradients: (K, H), the gradient of each source's loss with respect to the reward head. losses: (K,), for a
    normalization by loss. Raises ValueError on another shape, a number that is not finite, or losses that are missing.
    """
    if head_gradients.ndim != 2:
        raise ValueError(f"more expects head gradients (K, H), found shape {tuple(head_gradients.shape)}")
    if losses is None:
        if "loss" in normalization:
            raise ValueError(f"normalization {normalization!r} needs the losses of the sources")
        losses = head_gradients.new_ones(len(head_gradients))
    return More(1.0, normalization)(head_gradients, losses)
