"""Sequences cut into micro-batches of a token budget, so that little is padded."""

from collections.abc import Sequence

import torch


def token_batches(lengths: torch.Tensor, budget: int, *, packed: bool) -> list[torch.Tensor]:
    """Rows sorted by length, longest first, and cut so that a batch stays within the budget of tokens.

    lengths: (n,). packed: what counts is the sum of lengths; else a batch is padded to its longest. Returns index
    tensors that hold every row once; a single row may exceed the budget.
    """
    order = lengths.argsort(descending=True, stable=True)
    return list(order.split(_sizes(lengths[order].tolist(), budget, packed=packed)))


def _sizes(longest_first: Sequence[int], budget: int, *, packed: bool) -> list[int]:
    sizes: list[int] = []
    left = widest = 0
    for length in longest_first:
        if not sizes or left < (length if packed else widest):
            sizes.append(0)
            left, widest = budget, length
        sizes[-1] += 1
        left -= length if packed else widest
    return sizes
