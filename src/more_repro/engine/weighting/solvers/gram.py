"""What every rule that looks at head gradients does first: smooth them, normalise them, take their Gram matrix."""

from collections.abc import Callable

import torch

from more_repro.engine.weighting import Normalization

Solve = Callable[[torch.Tensor], torch.Tensor]


class GramWeighting:
    """lambda from the Gram matrix of the head gradients, in float64 on CPU: K x H numbers leave the device.

    solve: weights (K,) float64, none negative, from a Gram matrix (K, K) float64. They are divided by their sum, so
    that the loss keeps the scale of the mean over sources whatever the rule.
    alpha: share of the NEW gradient in g <- (1 - alpha) g_old + alpha g_new, the opposite of an optimizer's momentum.
    The first step takes g_new whole: the published code starts from random head weights, which have no meaning here.
    normalization: what each smoothed g_k is divided by, after Sener and Koltun (arXiv 1810.04650, their code's l2,
    loss and loss+): nothing, its length, its source's present loss, or both. A gradient of length zero stays zero.
    """

    def __init__(self, solve: Solve, alpha: float, normalization: Normalization) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha lies in [0, 1], found {alpha}")
        if normalization not in ("none", "l2", "loss", "l2_loss"):
            raise ValueError(f"normalization is none, l2, loss or l2_loss, found {normalization!r}")
        self._solve, self._alpha, self._normalization = solve, alpha, normalization
        self._smoothed: torch.Tensor | None = None

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        new = head_gradients.detach().to("cpu", torch.float64)
        old = self._smoothed
        self._smoothed = new if old is None else (1 - self._alpha) * old + self._alpha * new
        rows = self._normalized(self._smoothed, losses)
        weights = self._solve(rows @ rows.T)
        return (weights / weights.sum()).to(losses.device, torch.float32)

    def _normalized(self, rows: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        for kind in self._normalization.split("_"):
            if kind == "l2":
                rows = _divided(rows, rows.norm(dim=1, keepdim=True))
            if kind == "loss":
                rows = _divided(rows, losses.detach().to("cpu", torch.float64)[:, None])
        return rows

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {} if self._smoothed is None else {"smoothed": self._smoothed}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._smoothed = state.get("smoothed")


def scaled(gram: torch.Tensor) -> torch.Tensor:
    """A Gram matrix (K, K) with largest diagonal entry 1, symmetric to the bit; all zeros stay zeros.

    Raises ValueError if it is not square or not finite.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or gram.shape[0] == 0:
        raise ValueError(f"a Gram matrix is square, found shape {tuple(gram.shape)}")
    if not torch.isfinite(gram).all():
        raise ValueError(f"the Gram matrix of the head gradients is not finite: {gram.tolist()}")
    gram = gram.double()
    return _divided((gram + gram.T) / 2, gram.diagonal().max())


def uniform(gram: torch.Tensor) -> torch.Tensor:
    """1/K for each of a Gram matrix's K sources."""
    return torch.full((gram.shape[0],), 1 / gram.shape[0], dtype=torch.float64)


def _divided(rows: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return rows / torch.where(by > 0, by, 1.0)
