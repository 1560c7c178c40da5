"""The loss of one source's pairs and its derivatives in closed form (spec section 2)."""

from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid


def pair_losses(margins: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D) of each margin D, any shape; no overflow at large |D|."""
    return -logsigmoid(margins)


@dataclass(frozen=True, slots=True)
class PairTotals:
    """What the loss of each source needs to know of all its n pairs, wherever they lie; every field (K,)."""

    n_pairs: torch.Tensor
    losses: torch.Tensor  # sums of the losses of single pairs
    margins: torch.Tensor
    rewards: torch.Tensor  # sums over chosen and rejected


@dataclass(frozen=True, slots=True)
class PairLoss:
    """Bradley-Terry, and three ways to hold rewards back that need no weighting of the sources.

    L_k = mean over pairs of [ -(1 - e) log sigmoid(D) - e log sigmoid(-D) + c (r_chosen + r_rejected)^2 ]
          + s (mean over pairs of (r_chosen + r_rejected))^2

    label_smoothing: e in [0, 0.5), the share of labels taken to be wrong. center: c, as TRL's
    center_rewards_coefficient. sum_to_zero: s, the batch-wise sum-to-zero penalty, here for each source's pairs of the
    global batch, with the sum divided by the number of pairs so that s means the same at any batch size.
    """

    label_smoothing: float = 0.0
    center: float = 0.0
    sum_to_zero: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing lies in [0, 0.5), found {self.label_smoothing}")
        if self.center < 0 or self.sum_to_zero < 0:
            raise ValueError(f"a penalty's coefficient is not negative, found {self}")

    def totals(self, rewards: torch.Tensor) -> PairTotals:
        """Sums over these pairs; rewards (2, K, B), chosen then rejected. Totals of several processes add up."""
        margins, sums = rewards[0] - rewards[1], rewards.sum(dim=0)
        losses = pair_losses(margins)
        if self.label_smoothing:
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * pair_losses(-margins)
        if self.center:
            losses = losses + self.center * sums.square()
        n_pairs = torch.full_like(margins[:, 0], margins.shape[1])
        return PairTotals(n_pairs, losses.sum(dim=1), margins.sum(dim=1), sums.sum(dim=1))

    def losses(self, totals: PairTotals) -> torch.Tensor:
        """L_k (K,) of the pairs that the totals cover."""
        losses = totals.losses / totals.n_pairs
        if self.sum_to_zero:
            losses = losses + self.sum_to_zero * (totals.rewards / totals.n_pairs).square()
        return losses

    def reward_gradients(self, rewards: torch.Tensor, totals: PairTotals) -> torch.Tensor:
        """dL_k/dr (2, K, B) of these pairs' rewards (2, K, B), where L_k is the loss of all pairs in the totals."""
        margins, sums = rewards[0] - rewards[1], rewards.sum(dim=0)
        by_margin = -torch.sigmoid(-margins)
        if self.label_smoothing:
            by_margin = (1 - self.label_smoothing) * by_margin + self.label_smoothing * torch.sigmoid(margins)
        gradients = torch.stack([by_margin, -by_margin])
        if self.center:
            gradients = gradients + 2 * self.center * sums
        if self.sum_to_zero:
            gradients = gradients + 2 * self.sum_to_zero * (totals.rewards / totals.n_pairs)[:, None]
        return gradients / totals.n_pairs[:, None]
