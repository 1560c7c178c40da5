"""Weightings of TorchJD (arXiv 2406.16232) that need no more than the Gramian of the head gradients: `torchjd:UPGrad`.

TorchJD is imported when one is made: it is needed by who names one, and by nobody else.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec
from more_repro.engine.weighting.solvers.gram import GramWeighting, scaled, uniform
from more_repro.registry import known_name

HAS_VARIANTS = True
PACKAGES = ("torchjd",)
# What is offered, with the settings of its paper; CAGrad, DualProj, FairGrad and UPGrad need an extra of torchjd.
OFFERED: dict[str, dict[str, float]] = {
    "CAGrad": {"c": 0.5},
    "DualProj": {},
    "FairGrad": {"alpha": 2.0},
    "MGDA": {},
    "PCGrad": {},
    "UPGrad": {},
}
_NEGATIVE, _STATE = "its weights can be negative, and lambda lies on the simplex", "a checkpoint cannot hold its state"
REFUSED = {
    "AlignedMTL": _NEGATIVE,
    "IMTLG": _NEGATIVE,
    "GradVac": _STATE,
    "PCD": _STATE,
    "Krum": "it must be told how many sources are bad",
}
_ROUNDING = 1e-6  # of the sum of the weights


class TorchJd(GramWeighting):
    """A weighting of TorchJD; what it draws at random comes from a generator of its own."""

    def __init__(self, name: str, seed: int, alpha: float = 1.0, normalization: Normalization = "none") -> None:
        super().__init__(self._weights, alpha, normalization)
        self._name, self._rule = name, _rule(name)
        self._random_state = torch.Generator().manual_seed(seed).get_state()

    def _weights(self, gram: torch.Tensor) -> torch.Tensor:
        matrix = scaled(gram)
        if matrix.diagonal().max() <= 0:
            return uniform(gram)
        with torch.random.fork_rng(devices=[]):  # TorchJD draws from the generator that everybody shares
            torch.set_rng_state(self._random_state)
            weights = self._rule(matrix)
            self._random_state = torch.get_rng_state()
        if not torch.isfinite(weights).all() or weights.min() < -_ROUNDING * weights.abs().sum():
            raise ValueError(f"torchjd:{self._name} gave weights {weights.tolist()}, expected none below 0")
        return weights.clamp(min=0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return super().state_dict() | {"generator": self._random_state}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        super().load_state_dict(state)
        self._random_state = state["generator"]


def make(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    return TorchJd(spec.variant, seed, **spec.of_gradients())


def _rule(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """TorchJD's weighting of that name. Raises ValueError that says why it cannot be had."""
    try:
        from torchjd import aggregation
    except ImportError:
        raise ValueError(f"the weighting 'torchjd:{name}' needs TorchJD: pip install torchjd") from None
    if name not in OFFERED:
        theirs = {name, f"{name}Weighting"} & set(aggregation.__all__)
        reason = REFUSED.get(name, "it needs more than the Gramian of the head gradients" if name and theirs else "")
        if reason:
            raise ValueError(f"torchjd:{name} cannot be used here: {reason}; known: {', '.join(OFFERED)}")
        known_name(name, OFFERED, "weighting of torchjd")
    made: Any = getattr(aggregation, f"{name}Weighting", None)
    if made is None:
        raise ValueError(f"the installed torchjd has no {name}Weighting; pip install --upgrade torchjd")
    try:
        return made(**OFFERED[name])
    except ImportError as error:  # an extra of torchjd, which its message names
        raise ValueError(f"torchjd:{name}: {error}") from None
