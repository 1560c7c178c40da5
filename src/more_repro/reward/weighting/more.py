"""MORE: the point of least norm in the convex hull of the sources' head gradients (spec section 2)."""

import torch

from more_repro.reward.weighting.min_norm import min_norm_weights


class More:
    """lambda* = argmin over the simplex of || sum_k lambda_k g_k ||^2.

    alpha: share of the NEW gradient in g <- (1 - alpha) g_old + alpha g_new, the opposite of an optimizer's momentum.
    The first step takes g_new whole: the published code starts from random head weights, which have no meaning here.
    normalize: divide each smoothed g_k by its length, so that only directions count. A gradient of length zero stays
    zero: its source is at a stationary point, and the exact answer then gives it all the weight.
    """

    def __init__(self, alpha: float, normalize: bool) -> None:
        self._alpha, self._normalize = alpha, normalize
        self._smoothed: torch.Tensor | None = None

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        new = head_gradients.detach().to("cpu", torch.float64)
        old = self._smoothed
        self._smoothed = new if old is None else (1 - self._alpha) * old + self._alpha * new
        rows = self._smoothed
        if self._normalize:
            lengths = rows.norm(dim=1, keepdim=True)
            rows = rows / torch.where(lengths > 0, lengths, 1.0)
        return min_norm_weights(rows @ rows.T).to(losses.device, torch.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {} if self._smoothed is None else {"smoothed": self._smoothed}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._smoothed = state.get("smoothed")
