"""A share e of the labels is taken to be wrong: of a margin D, -(1 - e) log sigmoid(D) - e log sigmoid(-D).

The best margin is then log((1 - e) / e), where Bradley-Terry has none.
"""

import torch
from torch.nn.functional import logsigmoid

from more_repro.engine.losses import PairTerm


class Term(PairTerm):
    """The coefficient is e."""

    below = 0.5
    replaces_bradley_terry = True

    def value(self, rewards: torch.Tensor) -> torch.Tensor:
        share, margins = self.coefficient, rewards[0] - rewards[1]
        return (1 - share) * -logsigmoid(margins) + share * -logsigmoid(-margins)

    def derivative(self, rewards: torch.Tensor) -> torch.Tensor:
        share, margins = self.coefficient, rewards[0] - rewards[1]
        by_margin = (1 - share) * -torch.sigmoid(-margins) + share * torch.sigmoid(margins)
        return torch.stack([by_margin, -by_margin])
