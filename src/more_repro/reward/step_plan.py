"""Which sequences each training step sees: B pairs of each source in the mixture's order."""

from dataclasses import dataclass

import torch

from more_repro.engine.batching.step_layout import StepPairs, step_pairs
from more_repro.engine.batching.token_pairs import EncodedPairs, join
from more_repro.reward.jobs import EncodeJob, TrainJob
from more_repro.reward.token_store import encoded_pairs


@dataclass(frozen=True, slots=True)
class Plan:
    """The pairs of every step. n_truncated, n_equal: rows of the mixture, all sources."""

    pairs: StepPairs
    n_truncated: int
    n_equal: int


def make_plan(job: TrainJob) -> Plan:
    """Read or make the encoded pairs of every source and lay them out in steps.

    Pairs that are equal after truncation have no gradient: they are left out, counted, and the source's order closes
    up. A source that runs out begins its order again. Raises ValueError for a source without a usable pair, sources
    of different length, no step, or a pair_id that the source's table lacks.
    """
    if not job.rows or len({len(rows) for rows in job.rows}) != 1 or job.steps < 1:
        found = {source: len(rows) for source, rows in zip(job.sources, job.rows, strict=True)}
        raise ValueError(f"{job.model}: sources must have equally many pairs, for at least one step; found {found}")
    encoded = [encoded_pairs(EncodeJob(job.base, path, job.rm.max_length, job.scratch)) for path in job.pairs]
    sequences, first_rows = join([one.sequences for one in encoded])
    chosen, rejected = [], []
    n_truncated = n_equal = 0
    for number, (one, first_row) in enumerate(zip(encoded, first_rows, strict=True)):
        rows = _mixture_rows(job, number, one)
        n_truncated += int(one.truncated[rows].sum())
        n_equal += int(one.equal[rows].sum())
        laid_out = _laid_out(rows[~one.equal[rows]], job, number)
        chosen.append(one.chosen[laid_out] + first_row)
        rejected.append(one.rejected[laid_out] + first_row)
    pairs = step_pairs(sequences, torch.stack(chosen, dim=1), torch.stack(rejected, dim=1))
    return Plan(pairs, n_truncated, n_equal)


def _mixture_rows(job: TrainJob, number: int, encoded: EncodedPairs) -> torch.Tensor:
    """Rows of the pairs table, in the mixture's order."""
    index = encoded.index()
    try:
        return torch.tensor([index[pair_id] for pair_id in job.rows[number]], dtype=torch.int64)
    except KeyError as error:
        raise ValueError(f"{job.pairs[number]}: the mixture asks for pair {error}, which is not in the table") from None


def _laid_out(rows: torch.Tensor, job: TrainJob, number: int) -> torch.Tensor:
    """The rows of every step, (steps, B)."""
    if not len(rows):
        limit = job.rm.max_length
        raise ValueError(
            f"{job.model}: every pair of {job.sources[number]} is equal after truncation to {limit} tokens"
        )
    size = job.rm.pairs_per_source_per_batch
    return rows[torch.arange(job.steps * size) % len(rows)].reshape(job.steps, size)
