"""Terms of the loss of one source's pairs, one file each with a class `Term`: its value and its derivative.

A scheme names them with a coefficient, `losses: {center: 0.01}`. Two kinds: what is averaged over pairs, and what is a
function of an average over pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from more_repro.registry import Registry

if TYPE_CHECKING:
    import torch

LOSSES = Registry("more_repro.engine.losses", "loss term")


class LossTerm:
    """coefficient: what the params give the term; a term says what it multiplies.

    Raises ValueError for a coefficient below 0 or `below`, or that is not finite.
    """

    below: ClassVar[float] = math.inf  # coefficients are below this

    def __init__(self, coefficient: float) -> None:
        name = type(self).__module__.rpartition(".")[2]
        if not math.isfinite(coefficient):
            raise ValueError(f"losses.{name} must be a finite number, found {coefficient}")
        if not 0 <= coefficient < self.below:
            allowed = "is not negative" if math.isinf(self.below) else f"lies in [0, {self.below:g})"
            raise ValueError(f"losses.{name} {allowed}, found {coefficient}")
        self.coefficient = coefficient


class PairTerm(LossTerm):
    """Adds to a source's loss the mean over its pairs of a function of each pair's two rewards."""

    replaces_bradley_terry: ClassVar[bool] = False  # stands in place of -log sigmoid(margin), not beside it

    def value(self, rewards: torch.Tensor) -> torch.Tensor:
        """The function (K, B) of rewards (2, K, B), chosen then rejected."""
        raise NotImplementedError

    def derivative(self, rewards: torch.Tensor) -> torch.Tensor:
        """Its derivative with respect to the rewards, (2, K, B), or (K, B) where it is the same for both sides."""
        raise NotImplementedError


class MeanTerm(LossTerm):
    """Adds to a source's loss a function of one mean over all its pairs of the global batch, wherever they lie."""

    def quantity(self, rewards: torch.Tensor) -> torch.Tensor:
        """What is averaged, (K, B), of rewards (2, K, B). Processes exchange its sums."""
        raise NotImplementedError

    def value(self, mean: torch.Tensor) -> torch.Tensor:
        """The function (K,) of the means (K,)."""
        raise NotImplementedError

    def derivative(self, rewards: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """n times its derivative with respect to the rewards, (2, K, B) or what broadcasts to it; n pairs share it."""
        raise NotImplementedError


def make_terms(coefficients: Mapping[str, float]) -> list[LossTerm]:
    """The terms that a scheme names, sorted by name; a coefficient of 0 leaves its term out.

    Raises ValueError for a name without a file, and for a coefficient that its term refuses.
    """
    terms = [LOSSES.load(name).Term(coefficients[name]) for name in sorted(coefficients)]
    return [term for term in terms if term.coefficient]
