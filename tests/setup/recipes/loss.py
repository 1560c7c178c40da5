"""Small margins: c times the mean over pairs of the squared margin."""

import torch

from more_repro.engine.losses import PairTerm


class Term(PairTerm):
    """The coefficient is c."""

    def value(self, rewards: torch.Tensor) -> torch.Tensor:
        return self.coefficient * (rewards[0] - rewards[1]).square()

    def derivative(self, rewards: torch.Tensor) -> torch.Tensor:
        by_margin = 2 * self.coefficient * (rewards[0] - rewards[1])
        return torch.stack([by_margin, -by_margin])
