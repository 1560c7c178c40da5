"""What a training needs, what it reports, and the fingerprint that says when its result may be reused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from more_repro.lm.bases import fingerprint as base_fingerprint
from more_repro.lm.device import pick_device
from more_repro.params import RewardModelParams, Scheme
from more_repro.records import RewardModelId
from more_repro.reward.encoded_store import code_digest, digest
from more_repro.reward.weighting import MODULES

_CODE = (
    *("rendering.py", "lm/encoding.py", "lm/bases.py"),
    *(f"reward/{name}.py" for name in ("encoding", "model", "objective", "optimizer", "plan", "step", "training")),
)


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One reward model to train; everything a worker needs.

    pairs: one table per source. rows: per source, the pair_ids of the mixture in training order, N of each source.
    unique_pairs: distinct pairs per source. scratch: checkpoints, finished models and encoded pairs live there.
    activation_limit_bytes: above this estimate a step trades time for memory (same gradient).
    """

    model: RewardModelId
    base: Path
    sources: tuple[str, ...]
    pairs: tuple[Path, ...]
    rows: tuple[tuple[str, ...], ...]
    unique_pairs: tuple[int, ...]
    rm: RewardModelParams
    scheme: Scheme
    learning_rate: float
    steps: int
    out: Path
    scratch: Path
    activation_limit_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training reports: the summary of a model and its log, columns of (steps, K) and (steps,).

    n_pairs counts a pair each time it is used; n_truncated_pairs and n_equal_pairs count rows of the mixture.
    """

    model: RewardModelId
    sources: tuple[str, ...]
    n_steps: int
    n_pairs: int
    n_tokens: int
    padding_share: float
    n_truncated_pairs: int
    n_equal_pairs: int
    log: dict[str, list[Any]] = field(repr=False)


def fingerprint(job: TrainJob) -> str:
    """sha256 of all that this model's numbers depend on: params, pairs, base, and the code of its own weighting only.

    Left out: where files lie, how often checkpoints are written, and which other models a sweep asks for.
    """
    params = job.rm.model_dump(exclude={"sweep", "checkpoint_steps"})
    weighting = [f"reward/weighting/{name}" for name in MODULES[job.scheme.weighting]]
    return digest(
        [
            repr([job.model, job.sources, job.unique_pairs, sorted(params.items()), job.scheme]),
            repr([job.learning_rate, job.steps, job.activation_limit_bytes, torch.__version__, pick_device().type]),
            *(digest(rows) for rows in job.rows),
            base_fingerprint(job.base),
            code_digest([*_CODE, *weighting]),
        ]
    )
