"""What workers are asked for and report, and the names under which results may be reused. Light to import."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from more_repro import tables
from more_repro.engine.weighting import weighting_packages
from more_repro.lm.base_files import fingerprint as base_fingerprint
from more_repro.params import RewardModelParams, Scheme
from more_repro.records import RewardModelId
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest, file_digest

# What workers import once, before they are forked.
PRELOAD = (
    "torch",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "more_repro.reward.training",
    "more_repro.reward.score_job",
)
# Code that changes no number of a model: how a base is made, whose bytes are in the fingerprint; what a job is called,
# and how a finished model is kept.
_WITHOUT = (
    *("more_repro.lm.causal", "more_repro.lm.tokenizers", "more_repro.lm.training"),
    *("more_repro.reward.jobs", "more_repro.reward.model_store"),
)


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One reward model to train; everything a worker needs.

    pairs: one table per source. rows: per source, the pair_ids of the mixture in training order, N of each source.
    scratch: checkpoints, finished models and encoded pairs live there.
    """

    model: RewardModelId
    base: Path
    sources: tuple[str, ...]
    pairs: tuple[Path, ...]
    rows: tuple[tuple[str, ...], ...]
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


def fingerprint(job: TrainJob) -> str:
    """sha256 of all that this model's numbers depend on: params, pairs, base, and the code of its own rules only.

    Left out: where files lie, how often checkpoints are written, and which other models a sweep asks for. A training
    runs on one thread, so the number of threads is no part of it.
    """
    import torch  # here, in the worker: a process that only hands out jobs starts in half the time without it

    from more_repro.engine.fingerprint import training_code
    from more_repro.lm.device import pick_device

    params = job.rm.model_dump(exclude={"sweep", "checkpoint_steps"})
    scheme, packages = job.scheme, ("transformers", *weighting_packages(job.scheme.weighting))
    return digest(
        [
            repr([job.model, job.sources, sorted(params.items()), scheme]),
            repr([job.learning_rate, job.steps, torch.__version__, *map(version, packages), pick_device().type]),
            *(digest(rows) for rows in job.rows),
            base_fingerprint(job.base),
            training_code(scheme.weighting, scheme.losses, "more_repro.reward.training", without=_WITHOUT),
        ]
    )


def encoded_path(job: EncodeJob) -> Path:
    """Where the encoded pairs lie; the name is a digest of tokenizer, pairs, length and code."""
    if not job.pairs.exists():
        raise tables.TableError(f"{job.pairs}: no such table; `dvc repro` makes it")
    code = code_key("more_repro.reward.token_store", without=(*CHANGES_NO_NUMBER, *_WITHOUT))
    key = digest([base_fingerprint(job.base), file_digest(job.pairs), str(job.max_length), code])
    return job.scratch / "encoded" / f"{key}.safetensors"
