"""A control of ours: fixed weights by how many distinct pairs a source has, so that re-used data counts once."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Weighting, WeightingSpec


class Proportional:
    """lambda_k = unique pairs of source k over the unique pairs of all sources."""

    def __init__(self, unique_counts: Sequence[int]) -> None:
        if not unique_counts or min(unique_counts) < 1:
            raise ValueError(f"every source needs at least one unique pair, found {list(unique_counts)}")
        counts = torch.tensor(unique_counts, dtype=torch.float64)
        self._weights = (counts / counts.sum()).float()

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        return self._weights.to(losses.device)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to put back."""


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return Proportional(unique_counts)
