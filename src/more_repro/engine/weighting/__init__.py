"""Rules that turn the head gradients of K sources into lambda on the simplex; one file each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import torch

Normalization = Literal["none", "l2", "loss", "l2_loss"]


@dataclass(frozen=True, slots=True)
class WeightingSpec:
    """A weighting by name, with what its kind needs.

    alpha (share of the NEW gradient in the smoothing) and normalization are of the head gradients, for all rules that
    look at them; None for the rule's own: 0.99 and l2 for more and frank_wolfe, 1 and none for the others, as their
    papers have it. weights: one for each source, for `fixed`.
    """

    name: str = "more"
    alpha: float | None = None
    normalization: Normalization | None = None
    weights: tuple[float, ...] | None = None


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

    unique_counts: distinct pairs of each source, for `proportional`. seed: for `random` and `pcgrad`.
    Raises ValueError if a count or a weight is missing or the name is unknown.
    """
    if spec.name not in _FACTORIES:
        raise ValueError(f"unknown weighting {spec.name!r}; known: {', '.join(_FACTORIES)}")
    if len(unique_counts) != n_sources:
        raise ValueError(f"expected a count of unique pairs for each of {n_sources} sources, found {unique_counts}")
    return _FACTORIES[spec.name](spec, unique_counts, seed)


def _of_gradients(spec: WeightingSpec) -> dict[str, Any]:
    """What a spec says of the head gradients; what it leaves open is the rule's own."""
    said = {"alpha": spec.alpha, "normalization": spec.normalization}
    return {name: value for name, value in said.items() if value is not None}


def _uniform(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.uniform import Uniform

    return Uniform(len(unique_counts))


def _proportional(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.proportional import Proportional

    return Proportional(unique_counts)


def _random(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.random_weights import RandomWeights

    return RandomWeights(len(unique_counts), seed)


def _fixed(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.fixed import Fixed

    if spec.weights is None or len(spec.weights) != len(unique_counts):
        raise ValueError(f"`fixed` needs a weight for each of {len(unique_counts)} sources, found {spec.weights}")
    return Fixed(spec.weights)


def _more(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.more import More

    return More(**_of_gradients(spec))


def _frank_wolfe(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.frank_wolfe import FrankWolfe

    return FrankWolfe(**_of_gradients(spec))


def _upgrad(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.upgrad import UpGrad

    return UpGrad(**_of_gradients(spec))


def _cagrad(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.cagrad import CaGrad

    return CaGrad(**_of_gradients(spec))


def _pcgrad(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.pcgrad import PcGrad

    return PcGrad(seed, **_of_gradients(spec))


def _nash_mtl(spec: WeightingSpec, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.engine.weighting.nash_mtl import NashMtl

    return NashMtl(**_of_gradients(spec))


# Imported when asked for: a process that only reads names needs no torch.
_FACTORIES: dict[str, Callable[[WeightingSpec, Sequence[int], int], Weighting]] = {
    "uniform": _uniform,
    "proportional": _proportional,
    "random": _random,
    "fixed": _fixed,
    "more": _more,
    "frank_wolfe": _frank_wolfe,
    "upgrad": _upgrad,
    "cagrad": _cagrad,
    "pcgrad": _pcgrad,
    "nash_mtl": _nash_mtl,
}

# File of each weighting where it is not named as the weighting is: `random` would hide the standard module.
_FILES = {"random": "random_weights"}


def weighting_names() -> tuple[str, ...]:
    """Every weighting there is."""
    return tuple(_FACTORIES)


def weighting_module(name: str) -> str:
    """Dotted name of the module that holds a weighting; with what it imports, that is the weighting's own code.

    Raises ValueError for a name that no weighting has.
    """
    if name not in _FACTORIES:
        raise ValueError(f"unknown weighting {name!r}; known: {', '.join(_FACTORIES)}")
    return f"{__name__}.{_FILES.get(name, name)}"
