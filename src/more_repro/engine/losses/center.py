"""Centred rewards: c times the mean over pairs of (r_chosen + r_rejected)^2, as TRL's center_rewards_coefficient."""

import torch

from more_repro.engine.losses import PairTerm


class Term(PairTerm):
    """The coefficient is c."""

    def value(self, rewards: torch.Tensor) -> torch.Tensor:
        return self.coefficient * rewards.sum(dim=0).square()

    def derivative(self, rewards: torch.Tensor) -> torch.Tensor:
        return 2 * self.coefficient * rewards.sum(dim=0)
