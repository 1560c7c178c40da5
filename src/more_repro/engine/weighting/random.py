"""A control of ours: weights that move as much as MORE's and know nothing of the gradients."""

import json
from collections.abc import Sequence

import numpy as np
import torch

from more_repro.engine.weighting import Weighting, WeightingSpec

CONCENTRATION = 1.2


class RandomWeights:
    """lambda drawn anew in each step from a symmetric Dirichlet(1.2), by a generator of its own."""

    def __init__(self, n_sources: int, seed: int) -> None:
        self._n_sources = n_sources
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        draw = self._rng.dirichlet(np.full(self._n_sources, CONCENTRATION))
        return torch.from_numpy(draw).to(losses.device, torch.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The generator's state; its integers are longer than 64 bits, so it travels as JSON in bytes."""
        text = json.dumps(self._rng.bit_generator.state)
        return {"generator": torch.tensor(list(text.encode()), dtype=torch.uint8)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._rng.bit_generator.state = json.loads(bytes(state["generator"].tolist()))


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return RandomWeights(len(unique_counts), seed)
