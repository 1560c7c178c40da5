"""Which pairs each training step sees: those of the mixture, in the mixture's order."""

from pathlib import Path

import torch

from more_repro.engine.batching.token_pairs import EncodedPairs
from more_repro.engine.config import MoreConfig
from more_repro.engine.training_plan import TrainingPlan, ordered_plan
from more_repro.reward.jobs import EncodeJob, TrainJob
from more_repro.reward.token_store import encoded_pairs


def make_plan(job: TrainJob, args: MoreConfig) -> TrainingPlan:
    """Read or make the encoded pairs of every source and lay them out in steps, see `ordered_plan`.

    Raises ValueError for sources of different length, or a pair_id that the source's table lacks.
    """
    if not job.rows or len({len(rows) for rows in job.rows}) != 1:
        found = {source: len(rows) for source, rows in zip(job.sources, job.rows, strict=True)}
        raise ValueError(f"{job.model}: sources must have equally many pairs, for at least one step; found {found}")
    tables = [encoded_pairs(EncodeJob(job.base, path, job.rm.max_length, job.scratch)) for path in job.pairs]
    order = [_mixture_rows(*one) for one in zip(job.pairs, job.rows, tables, strict=True)]
    sources = dict(zip(job.sources, tables, strict=True))
    try:
        return ordered_plan(sources, dict(zip(job.sources, order, strict=True)), args)
    except ValueError as error:
        error.add_note(f"in the steps of {job.model}")
        raise


def _mixture_rows(path: Path, pair_ids: tuple[str, ...], encoded: EncodedPairs) -> torch.Tensor:
    """Rows of the pairs table, in the mixture's order."""
    index = encoded.index()
    try:
        return torch.tensor([index[pair_id] for pair_id in pair_ids], dtype=torch.int64)
    except KeyError as error:
        raise ValueError(f"{path}: the mixture asks for pair {error}, which is not in the table") from None
