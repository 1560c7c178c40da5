"""Rules that turn the head gradients of K sources into lambda on the simplex; one file each, with a function `make`.

A weighting's name is that of its file; what several of them solve with is in `solvers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from more_repro.registry import Registry

if TYPE_CHECKING:
    import torch

Normalization = Literal["none", "l2", "loss", "l2_loss"]
WEIGHTINGS = Registry("more_repro.engine.weighting", "weighting")


@dataclass(frozen=True, slots=True)
class WeightingSpec:
    """A weighting by name, with what its kind needs.

    name: of a file here; where that file offers several, the wanted one follows a colon, as in `torchjd:UPGrad`.
    alpha (share of the NEW gradient in the smoothing) and normalization are of the head gradients, for all rules that
    look at them; None for the rule's own: 0.99 and l2 for more and frank_wolfe, 1 and none for the others, as their
    papers have it. weights: one for each source, for `fixed`.
    """

    name: str = "more"
    alpha: float | None = None
    normalization: Normalization | None = None
    weights: tuple[float, ...] | None = None

    @property
    def variant(self) -> str:
        """What follows the colon of the name, "" without one."""
        return self.name.partition(":")[2]

    def of_gradients(self) -> dict[str, Any]:
        """What is said of the head gradients; what is left open is the rule's own."""
        given = {"alpha": self.alpha, "normalization": self.normalization}
        return {name: value for name, value in given.items() if value is not None}


class Weighting(Protocol):
    """A rule inside a training step. It sees gradients of the head and losses, never the model."""

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """lambda (K,) in fp32 on the simplex, from head gradients (K, H) and losses (K,)."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must keep so that a resumed run gives the same numbers."""

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Put back what state_dict gave."""


def make_weighting(spec: WeightingSpec, n_sources: int, unique_counts: Sequence[int], seed: int) -> Weighting:
    """The weighting that a spec names.

    unique_counts: distinct pairs of each source, for `proportional`. seed: for `random`, `pcgrad` and `torchjd`.
    Raises ValueError if a count or a weight is missing or the name is unknown.
    """
    module = WEIGHTINGS.load(spec.name.partition(":")[0])
    if ":" in spec.name and not getattr(module, "HAS_VARIANTS", False):
        raise ValueError(f"unknown weighting {spec.name!r}: {spec.name.partition(':')[0]} is one rule, without a colon")
    if len(unique_counts) != n_sources:
        raise ValueError(f"expected a count of unique pairs for each of {n_sources} sources, found {unique_counts}")
    made: Weighting = module.make(spec, unique_counts, seed)
    return made


def weighting_module(name: str) -> str:
    """Dotted name of the module that holds a weighting: with its imports, all the code that is its own.

    Raises UnknownNameError.
    """
    return WEIGHTINGS.module(name.partition(":")[0])


def weighting_packages(name: str) -> tuple[str, ...]:
    """Packages, beside torch, on whose version the numbers of a weighting depend. Raises UnknownNameError."""
    return tuple(getattr(WEIGHTINGS.load(name.partition(":")[0]), "PACKAGES", ()))
