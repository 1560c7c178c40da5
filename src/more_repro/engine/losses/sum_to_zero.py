"""The batch-wise sum-to-zero penalty: s times the square of the mean over pairs of r_chosen + r_rejected.

Here for each source's pairs of the global batch, and of their mean, so that s means the same at any batch size.
"""

import torch

from more_repro.engine.losses import MeanTerm


class Term(MeanTerm):
    """The coefficient is s."""

    def quantity(self, rewards: torch.Tensor) -> torch.Tensor:
        return rewards.sum(dim=0)

    def value(self, mean: torch.Tensor) -> torch.Tensor:
        return self.coefficient * mean.square()

    def derivative(self, rewards: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return 2 * self.coefficient * mean[:, None]
