"""What a training is given, as tokens: the pairs of every step, laid out before it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from more_repro.engine.batching.step_layout import StepPairs, passes, step_pairs
from more_repro.engine.batching.token_pairs import EncodedPairs, join
from more_repro.engine.config import MoreConfig


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The pairs of every step of K sources, and what is known of them.

    unique_counts: distinct pairs of each source. n_truncated, n_equal: pairs that lost their left end, and pairs left
    out because their sides are equal after that; of all sources, each as often as the plan was given it.
    """

    sources: tuple[str, ...]
    pairs: StepPairs
    unique_counts: tuple[int, ...]
    n_truncated: int
    n_equal: int


def drawn_plan(sources: Mapping[str, EncodedPairs], args: MoreConfig) -> TrainingPlan:
    """args.max_steps steps, or so many as pass the largest source args.num_train_epochs times. The seed draws the
    pairs: pass after pass over each source, each in an order of its own.

    Raises ValueError naming a source without a usable pair.
    """
    given = {name: torch.arange(len(pairs.pair_ids)) for name, pairs in sources.items()}
    usable = _usable(sources, given, args)
    size, largest = args.per_source_batch_size, max(len(rows) for rows in usable.values())
    steps = args.max_steps or math.ceil(args.num_train_epochs * largest / size)
    generator = torch.Generator().manual_seed(args.seed)
    laid_out = {name: rows[passes(len(rows), steps, size, generator)] for name, rows in usable.items()}
    return _plan(sources, given, laid_out, tuple(len(rows) for rows in usable.values()))


def ordered_plan(
    sources: Mapping[str, EncodedPairs], order: Mapping[str, torch.Tensor], args: MoreConfig
) -> TrainingPlan:
    """args.max_steps steps that take each source's pairs in the order given; a source that runs out begins anew.

    order: by source, rows (n,) of its pairs, repeats allowed. Pairs whose sides are equal have no gradient: they are
    left out, and the next takes their place. Raises ValueError naming a source without a usable pair, and without
    max_steps.
    """
    if args.max_steps is None:
        raise ValueError("a training in a given order needs its number of steps: set max_steps")
    size, usable = args.per_source_batch_size, _usable(sources, order, args)
    place = torch.arange(args.max_steps * size)
    laid_out = {name: rows[place % len(rows)].reshape(args.max_steps, size) for name, rows in usable.items()}
    return _plan(sources, order, laid_out, tuple(len(order[name].unique()) for name in sources))


def _usable(
    sources: Mapping[str, EncodedPairs], order: Mapping[str, torch.Tensor], args: MoreConfig
) -> dict[str, torch.Tensor]:
    """The rows of each order whose two sides differ."""
    usable = {name: order[name][~pairs.equal[order[name]]] for name, pairs in sources.items()}
    for name, rows in usable.items():
        if not len(rows):
            raise ValueError(f"{name}: every pair is equal after truncation to {args.max_length} tokens")
    return usable


def _plan(
    sources: Mapping[str, EncodedPairs],
    given: Mapping[str, torch.Tensor],
    laid_out: Mapping[str, torch.Tensor],
    unique_counts: tuple[int, ...],
) -> TrainingPlan:
    """laid_out: by source, rows (steps, B) of its pairs."""
    sequences, first_rows = join([pairs.sequences for pairs in sources.values()])
    parts = [(pairs, laid_out[name], first) for (name, pairs), first in zip(sources.items(), first_rows, strict=True)]
    chosen = torch.stack([pairs.chosen[rows] + first for pairs, rows, first in parts], dim=1)
    rejected = torch.stack([pairs.rejected[rows] + first for pairs, rows, first in parts], dim=1)
    return TrainingPlan(
        sources=tuple(sources),
        pairs=step_pairs(sequences, chosen, rejected),
        unique_counts=unique_counts,
        n_truncated=sum(int(pairs.truncated[given[name]].sum()) for name, pairs in sources.items()),
        n_equal=sum(int(pairs.equal[given[name]].sum()) for name, pairs in sources.items()),
    )
