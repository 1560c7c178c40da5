"""What workers are asked for and report, and the names under which results may be reused. Light to import."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from more_repro import tables
from more_repro.engine.losses import LOSSES
from more_repro.engine.weighting import WEIGHTINGS, WeightingSpec, weighting_module, weighting_packages
from more_repro.lm.base_files import fingerprint as base_fingerprint
from more_repro.params import RewardModelParams, Scheme
from more_repro.records import RewardModelId
from more_repro.reward.code_digest import code_digest
from more_repro.store.code_key import code_key
from more_repro.store.digests import digest, file_digest

_CODE = (
    *(
        "rendering.py",
        "lm/encoding.py",
        "lm/chat_template.py",
        "lm/bases.py",
        "lm/base_files.py",
        "lm/sequence_classifier.py",
    ),
    *(
        f"engine/batching/{name}.py"
        for name in (
            *("activation_memory", "attention", "micro_batches", "packed_rows", "shared_prefix"),
            *("step_layout", "token_pairs"),
        )
    ),
    *(f"engine/{name}.py" for name in ("distributed", "head_gradients", "lora", "loop", "model", "objective")),
    *(f"engine/{name}.py" for name in ("losses/__init__", "optimizer", "step")),
    *("reward/token_store.py", "reward/step_plan.py", "reward/training.py"),
)
_ENCODING_CODE = (
    "rendering.py",
    "records.py",
    "lm/encoding.py",
    "lm/chat_template.py",
    "engine/batching/token_pairs.py",
    "reward/token_store.py",
)


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One reward model to train; everything a worker needs.

    pairs: one table per source. rows: per source, the pair_ids of the mixture in training order, N of each source.
    unique_pairs: distinct pairs per source. scratch: checkpoints, finished models and encoded pairs live there.
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


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """One pairs table to encode with one base's tokenizer."""

    base: Path
    pairs: Path
    max_length: int
    scratch: Path


@dataclass(frozen=True, slots=True)
class PairsJob:
    """Score pairs tables with one model. path: the trained model, or None for the base's untrained head."""

    model: RewardModelId
    path: Path | None
    parts: tuple[EncodeJob, ...]
    precision: str


@dataclass(frozen=True, slots=True)
class SamplesJob:
    """Score token sequences with one model: flat (sum of lengths,), lengths (n,)."""

    model: RewardModelId
    path: Path | None
    base: Path
    flat: np.ndarray
    lengths: np.ndarray
    precision: str


def weighting_spec(job: TrainJob) -> WeightingSpec:
    """The weighting of a job's scheme, with the weights that `fixed` asks for in the order of the job's sources."""
    scheme = job.scheme
    weights = None
    if scheme.weights is not None:
        weights = tuple(scheme.weights[source] for source in job.sources)
    return WeightingSpec(scheme.weighting, scheme.alpha, scheme.normalization, weights)


def fingerprint(job: TrainJob) -> str:
    """sha256 of all that this model's numbers depend on: params, pairs, base, and the code of its own rules only.

    Left out: where files lie, how often checkpoints are written, and which other models a sweep asks for. A training
    runs on one thread, so the number of threads is no part of it.
    """
    import torch  # here, in the worker: a process that only hands out jobs starts in half the time without it

    from more_repro.lm.device import pick_device

    params = job.rm.model_dump(exclude={"sweep", "checkpoint_steps"})
    rules = [weighting_module(job.scheme.weighting), *map(LOSSES.module, sorted(job.scheme.losses))]
    packages = ("transformers", *weighting_packages(job.scheme.weighting))
    return digest(
        [
            repr([job.model, job.sources, job.unique_pairs, sorted(params.items()), job.scheme]),
            repr([job.learning_rate, job.steps, torch.__version__, *map(version, packages), pick_device().type]),
            *(digest(rows) for rows in job.rows),
            base_fingerprint(job.base),
            code_digest(_CODE),
            code_key(*rules, without=(*WEIGHTINGS.modules(), *LOSSES.modules())),
        ]
    )


def encoded_path(job: EncodeJob) -> Path:
    """Where the encoded pairs lie; the name is a digest of tokenizer, pairs, length and code."""
    if not job.pairs.exists():
        raise tables.TableError(f"{job.pairs}: no such table; `dvc repro` makes it")
    key = digest([base_fingerprint(job.base), file_digest(job.pairs), str(job.max_length), code_digest(_ENCODING_CODE)])
    return job.scratch / "encoded" / f"{key}.safetensors"
