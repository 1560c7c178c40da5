"""The mean over sources: vanilla mixing, and with one source the single scheme."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Weighting, WeightingSpec


class Uniform:
    """lambda = 1/K."""

    def __init__(self, n_sources: int) -> None:
        self._weights = torch.full((n_sources,), 1 / n_sources)

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        return self._weights.to(losses.device)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to put back."""


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return Uniform(len(unique_counts))
