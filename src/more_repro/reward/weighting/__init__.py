"""Rules that turn the head gradients of K sources into lambda on the simplex; one file each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from more_repro.params import Scheme


class Weighting(Protocol):
    """A rule inside a training step. It sees gradients of the head and losses, never the model."""

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """lambda (K,) in fp32 on the simplex, from head gradients (K, H) and losses (K,)."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must keep so that a resumed run gives the same numbers."""

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Put back what state_dict gave."""


def make_weighting(scheme: Scheme, n_sources: int, unique_counts: Sequence[int], seed: int) -> Weighting:
    """The weighting that a scheme names.

    unique_counts: distinct pairs of each source, for `proportional`. seed: for `random`.
    Raises ValueError if a count is missing.
    """
    if len(unique_counts) != n_sources:
        raise ValueError(f"expected a count of unique pairs for each of {n_sources} sources, found {unique_counts}")
    return _FACTORIES[scheme.weighting](scheme, unique_counts, seed)


def _uniform(scheme: Scheme, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.reward.weighting.uniform import Uniform

    return Uniform(len(unique_counts))


def _proportional(scheme: Scheme, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.reward.weighting.proportional import Proportional

    return Proportional(unique_counts)


def _random(scheme: Scheme, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.reward.weighting.random_weights import RandomWeights

    return RandomWeights(len(unique_counts), seed)


def _more(scheme: Scheme, unique_counts: Sequence[int], seed: int) -> Weighting:
    from more_repro.reward.weighting.more import More

    return More(alpha=scheme.alpha, normalize=scheme.normalization == "l2")


_FACTORIES: dict[str, Callable[[Scheme, Sequence[int], int], Weighting]] = {
    "uniform": _uniform,
    "proportional": _proportional,
    "random": _random,
    "more": _more,
}

# Source files of each weighting, for the fingerprint of a model: a change of another scheme's file changes nothing.
MODULES: dict[str, tuple[str, ...]] = {
    "uniform": ("uniform.py",),
    "proportional": ("proportional.py",),
    "random": ("random_weights.py",),
    "more": ("more.py", "min_norm.py"),
}
