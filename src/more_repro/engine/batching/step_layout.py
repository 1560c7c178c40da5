"""Which pairs each step sees: B of each of K sources, laid out before training starts."""

from dataclasses import dataclass

import torch

from more_repro.engine.batching.shared_prefix import common_prefix_lengths
from more_repro.engine.batching.token_pairs import TokenSequences
from more_repro.engine.distributed import Group


@dataclass(frozen=True, slots=True)
class StepPairs:
    """chosen, rejected: (steps, K, B) rows of `sequences`. prefixes: (steps, K, B) tokens that the two begin with."""

    sequences: TokenSequences
    chosen: torch.Tensor
    rejected: torch.Tensor
    prefixes: torch.Tensor

    @property
    def n_steps(self) -> int:
        return int(self.chosen.shape[0])

    @property
    def n_sources(self) -> int:
        return int(self.chosen.shape[1])

    def share(self, step: int, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's pairs of a step: rows (2, K, B / processes), chosen then rejected, and their prefixes.

        Processes take runs of pairs in the order of their ranks, so that together they hold what one would.
        """
        size = self.chosen.shape[2] // group.size
        own = slice(group.rank * size, (group.rank + 1) * size)
        return torch.stack([self.chosen[step, :, own], self.rejected[step, :, own]]), self.prefixes[step, :, own]


def step_pairs(sequences: TokenSequences, chosen: torch.Tensor, rejected: torch.Tensor) -> StepPairs:
    """The pairs of every step, chosen and rejected (steps, K, B), with the lengths of their common prefixes."""
    prefixes = common_prefix_lengths(sequences, chosen.flatten(), rejected.flatten())
    return StepPairs(sequences, chosen, rejected, prefixes.reshape(chosen.shape))


def check_split(pairs_per_source: int, group: Group) -> None:
    """Raise ValueError where B pairs of a source cannot be dealt out evenly to the processes."""
    if pairs_per_source % group.size:
        raise ValueError(
            f"{pairs_per_source} pairs of each source in a step cannot be split evenly over {group.size} processes"
        )


def passes(n_rows: int, steps: int, pairs_per_step: int, generator: torch.Generator) -> torch.Tensor:
    """Rows of every step, (steps, B): all n rows in a random order, then all in another, as often as needed."""
    needed = steps * pairs_per_step
    orders = [torch.randperm(n_rows, generator=generator) for _ in range(-(-needed // n_rows))]
    return torch.cat(orders)[:needed].reshape(steps, pairs_per_step)
