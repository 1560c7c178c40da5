"""What a worker does to score: load one model, run it over distinct sequences, give rewards back."""

from pathlib import Path

import numpy as np
import torch

from more_repro.engine.batching.token_pairs import TokenSequences, join
from more_repro.engine.model import load_reward_model, on_device, score
from more_repro.lm.bases import load_sequence_classifier
from more_repro.lm.device import pick_device, pinned_threads
from more_repro.records import RewardModelId
from more_repro.reward.jobs import PairsJob, SamplesJob
from more_repro.reward.token_store import encoded_pairs


def score_pairs_job(job: PairsJob) -> np.ndarray:
    """Rewards (2, n) float64 of chosen and rejected, the parts one after the other; each distinct sequence once."""
    encoded = [encoded_pairs(part) for part in job.parts]
    sequences, first_rows = join([one.sequences for one in encoded])
    rewards = _rewards(job.model, job.path, job.parts[0].base, sequences, job.precision)
    offsets = list(zip(encoded, first_rows, strict=True))
    chosen = torch.cat([one.chosen + first for one, first in offsets])
    rejected = torch.cat([one.rejected + first for one, first in offsets])
    return rewards[torch.stack([chosen, rejected])].double().numpy()


def score_samples_job(job: SamplesJob) -> np.ndarray:
    """Rewards (n,) float64 of the sequences."""
    lengths = torch.from_numpy(job.lengths)
    sequences = TokenSequences(torch.from_numpy(job.flat), lengths.cumsum(0) - lengths, lengths)
    return _rewards(job.model, job.path, job.base, sequences, job.precision).double().numpy()


def _rewards(
    model: RewardModelId, path: Path | None, base: Path, sequences: TokenSequences, precision: str
) -> torch.Tensor:
    network = load_sequence_classifier(base, model.seed) if path is None else load_reward_model(path)
    with pinned_threads():
        rewards = score(on_device(network, pick_device()), sequences, precision=precision)
    if not bool(torch.isfinite(rewards).all()):
        raise FloatingPointError(f"{model}: {int((~torch.isfinite(rewards)).sum())} rewards are not finite")
    return rewards
