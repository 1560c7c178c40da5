"""The loss of one source's pairs and its derivatives in closed form (spec section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from more_repro.engine.losses import MeanTerm, PairTerm, make_terms


def pair_losses(margins: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D) of each margin D, any shape; no overflow at large |D|."""
    return -logsigmoid(margins)


@dataclass(frozen=True, slots=True)
class PairTotals:
    """What the loss of each source needs to know of all its n pairs, wherever they lie: (K,), and quantities (T, K)."""

    n_pairs: torch.Tensor
    losses: torch.Tensor  # sums of the losses of single pairs
    margins: torch.Tensor
    quantities: torch.Tensor  # sums of what the T terms of means average


class PairLoss:
    """L_k = mean over pairs of [ l + terms of the pair ] + terms of means over pairs.

    l is Bradley and Terry's -log sigmoid(D) of the margin D, or the one term that stands in its place. Terms are added
    in the order of their names. coefficients: of the terms, by name; see `engine.losses`.
    Raises ValueError for what `make_terms` refuses, and for two terms in the place of Bradley-Terry.
    """

    def __init__(self, coefficients: Mapping[str, float] | None = None) -> None:
        terms = make_terms(coefficients or {})
        pair_terms = [term for term in terms if isinstance(term, PairTerm)]
        first = [term for term in pair_terms if term.replaces_bradley_terry]
        if len(first) > 1:
            raise ValueError(
                f"{len(first)} terms of losses would each replace Bradley-Terry: {dict(coefficients or {})}"
            )
        self._likelihood: PairTerm = first[0] if first else _BradleyTerry(1.0)
        self._of_pairs = [term for term in pair_terms if term not in first]
        self._of_means = [term for term in terms if isinstance(term, MeanTerm)]

    def totals(self, rewards: torch.Tensor) -> PairTotals:
        """Sums over these pairs; rewards (2, K, B), chosen then rejected. Totals of several processes add up."""
        margins = rewards[0] - rewards[1]
        losses = self._likelihood.value(rewards)
        for term in self._of_pairs:
            losses = losses + term.value(rewards)
        n_pairs = torch.full_like(margins[:, 0], margins.shape[1])
        sums = [term.quantity(rewards).sum(dim=1) for term in self._of_means]
        quantities = torch.stack(sums) if sums else margins.new_empty(0, len(margins))
        return PairTotals(n_pairs, losses.sum(dim=1), margins.sum(dim=1), quantities)

    def losses(self, totals: PairTotals) -> torch.Tensor:
        """L_k (K,) of the pairs that the totals cover."""
        losses = totals.losses / totals.n_pairs
        for term, total in zip(self._of_means, totals.quantities, strict=True):
            losses = losses + term.value(total / totals.n_pairs)
        return losses

    def reward_gradients(self, rewards: torch.Tensor, totals: PairTotals) -> torch.Tensor:
        """dL_k/dr (2, K, B) of these pairs' rewards (2, K, B), where L_k is the loss of all pairs in the totals."""
        gradients = self._likelihood.derivative(rewards)
        for term in self._of_pairs:
            gradients = gradients + term.derivative(rewards)
        for of_mean, total in zip(self._of_means, totals.quantities, strict=True):
            gradients = gradients + of_mean.derivative(rewards, total / totals.n_pairs)
        return gradients / totals.n_pairs[:, None]


class _BradleyTerry(PairTerm):
    """-log sigmoid(D)."""

    def value(self, rewards: torch.Tensor) -> torch.Tensor:
        return pair_losses(rewards[0] - rewards[1])

    def derivative(self, rewards: torch.Tensor) -> torch.Tensor:
        by_margin = -torch.sigmoid(-(rewards[0] - rewards[1]))
        return torch.stack([by_margin, -by_margin])
