"""What workers run. Imports are inside: a process that only hands out jobs needs no torch and starts much faster."""

from pathlib import Path

import numpy as np

from more_repro.reward.jobs import EncodeJob, PairsJob, SamplesJob, TrainJob, TrainResult

PRELOAD = (
    "torch",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "more_repro.reward.training",
    "more_repro.reward.score_job",
)


def train(job: TrainJob) -> TrainResult:
    from more_repro.reward.training import train_reward_model

    return train_reward_model(job)


def is_finished(job: TrainJob) -> bool:
    from more_repro.reward.training import is_finished as finished

    return finished(job)


def encode(job: EncodeJob) -> Path:
    from more_repro.reward.token_store import ensure_encoded

    return ensure_encoded(job)


def score_pairs(job: PairsJob) -> np.ndarray:
    from more_repro.reward.score_job import score_pairs_job

    return score_pairs_job(job)


def score_samples(job: SamplesJob) -> np.ndarray:
    from more_repro.reward.score_job import score_samples_job

    return score_samples_job(job)
