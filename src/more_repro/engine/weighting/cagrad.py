"""CAGrad (arXiv 2110.14048): the direction near the mean gradient that helps the worst-off source most."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled, uniform
from more_repro.engine.weighting.solvers.min_norm import min_norm_weights

RADIUS = 0.5  # c: how far from the mean gradient, in lengths of it; their code's default
_CLOSE = 1e-7  # of the number that is sought
_MOST_TRIES = 60


class CaGrad(GramWeighting):
    """g_0 + c ||g_0|| g_w / ||g_w||, g_0 the mean gradient, with w that minimises g_w.g_0 + c ||g_0|| ||g_w||."""

    def __init__(self, alpha: float = 1.0, normalization: Normalization = "none") -> None:
        super().__init__(cagrad_weights, alpha, normalization)


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return CaGrad(**spec.of_gradients())


def cagrad_weights(gram: torch.Tensor, radius: float = RADIUS) -> torch.Tensor:
    """Weights (K,) float64 from the Gram matrix (K, K).

    With ||g_w|| = min over t > 0 of (||g_w||^2 / t + t) / 2 the problem in w is, for each t, the point of least norm
    among the g_k + s g_0 with s = t / (c ||g_0||), and the right t is ||g_w||: one number to find. Times ||g_w|| the
    weights are ||g_w|| / K + c ||g_0|| w_k, which exist where ||g_w|| = 0 too and then are w.
    """
    matrix, mean = scaled(gram), uniform(gram)
    products = matrix @ mean
    pull = radius * float((mean @ products).clamp(min=0).sqrt())
    if pull <= 0:
        return mean
    weights = _right_shift(matrix, products, mean, pull)
    return _length(matrix, weights) * mean + pull * weights


def _right_shift(matrix: torch.Tensor, products: torch.Tensor, mean: torch.Tensor, pull: float) -> torch.Tensor:
    """The weights at the s where ||g_w|| = s c ||g_0||: a falling function of s, whose zero the Illinois rule finds."""
    high, last = 1 / pull, 0  # no g_k is longer than 1
    low = _CLOSE * high  # not 0: where a mixture of the g_k is zero, both sides are zero there and nowhere near
    weights = _for_shift(matrix, products, mean, low)
    above, below = _length(matrix, weights) - low * pull, -1.0
    for _ in range(_MOST_TRIES if above > 0 else 0):
        shift = (low * below - high * above) / (below - above)
        weights = _for_shift(matrix, products, mean, shift)
        excess = _length(matrix, weights) - shift * pull
        if abs(excess) < _CLOSE * shift * pull:
            break
        side = 1 if excess > 0 else -1
        if excess > 0:
            low, above, below = shift, excess, below / 2 if side == last else below
        else:
            high, below, above = shift, excess, above / 2 if side == last else above
        last = side
    return weights


def _for_shift(matrix: torch.Tensor, products: torch.Tensor, mean: torch.Tensor, shift: float) -> torch.Tensor:
    shifted = matrix + shift * (products[:, None] + products[None, :]) + shift**2 * (mean @ products)
    return min_norm_weights(shifted)


def _length(matrix: torch.Tensor, weights: torch.Tensor) -> float:
    """||g_w||."""
    return float((weights @ matrix @ weights).clamp(min=0).sqrt())
