"""Weights that the params give: what most trainers of reward models on several data sets offer."""

from collections.abc import Sequence

import torch

from more_repro.engine.weighting import Weighting, WeightingSpec


class Fixed:
    """lambda_k = the weight given to source k over the weights of all sources."""

    def __init__(self, weights: Sequence[float]) -> None:
        total = torch.tensor(weights, dtype=torch.float64)
        if not bool((total >= 0).all() and total.sum() > 0 and torch.isfinite(total).all()):
            raise ValueError(f"fixed weights are not negative, and one of them is positive; found {list(weights)}")
        self._weights = (total / total.sum()).float()

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        return self._weights.to(losses.device)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to put back."""


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    if spec.weights is None or len(spec.weights) != len(unique_counts):
        raise ValueError(f"`fixed` needs a weight for each of {len(unique_counts)} sources, found {spec.weights}")
    return Fixed(spec.weights)
