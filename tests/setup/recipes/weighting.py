"""Sources with a high loss count more: lambda in proportion to the losses."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Weighting, WeightingSpec


class LossShare:
    """lambda_k = L_k over the sum of all losses."""

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        return (losses / losses.sum()).float()

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to put back."""


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return LossShare()
