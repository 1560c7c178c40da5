"""PCGrad (gradient surgery, arXiv 2001.06782): each gradient loses what conflicts with the others, in random order."""

from collections.abc import Sequence

import numpy as np
import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled


class PcGrad(GramWeighting):
    """The sum of the K gradients after surgery (algorithm 1 there). The order is drawn by a generator of its own."""

    def __init__(self, seed: int, alpha: float = 1.0, normalization: Normalization = "none") -> None:
        super().__init__(self._weights, alpha, normalization)
        self._generator = torch.Generator().manual_seed(seed)

    def _weights(self, gram: torch.Tensor) -> torch.Tensor:
        return pcgrad_weights(gram, self._generator)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return super().state_dict() | {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        super().load_state_dict(state)
        self._generator.set_state(state["generator"])


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return PcGrad(seed, **spec.of_gradients())


def pcgrad_weights(gram: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Weights (K,) float64, each at least 1, from the Gram matrix (K, K); one random order for each source."""
    matrix = scaled(gram).numpy()
    n = len(matrix)
    total = np.zeros(n)
    for source in range(n):
        weights = np.zeros(n)
        weights[source] = 1.0
        for other in torch.randperm(n, generator=generator).tolist():
            conflict = matrix[other] @ weights
            if other != source and conflict < 0:
                weights[other] -= conflict / matrix[other, other]
        total += weights
    return torch.from_numpy(total)
