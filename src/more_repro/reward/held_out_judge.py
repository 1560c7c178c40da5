"""A judge's reward model for data without an oracle: trained on validation pairs, which no other model saw."""

import itertools
from pathlib import Path

import pandas as pd

from more_repro import tables
from more_repro.lm import base_files
from more_repro.params import Params, Scheme
from more_repro.paths import Paths
from more_repro.records import RewardModelId
from more_repro.reward.grid import log_rows
from more_repro.reward.jobs import TrainJob, TrainResult
from more_repro.reward.scoring import score_texts
from more_repro.reward.torchrun import train_together
from more_repro.schemes import HELD_OUT, MIXTURE, NONE

SCHEME = Scheme(weighting="uniform")


def train_held_out(params: Params, paths: Paths) -> pd.DataFrame:
    """Train the held-out reward model (vanilla mixing, the largest base); returns its table "training_log".

    It lies in the scratch folder: `score_responses` finds it there, or makes it again.
    """
    return tables.check(log_rows(_trained(_job(params, paths))), "training_log")


def score_responses(params: Params, paths: Paths, responses: pd.DataFrame) -> pd.Series:
    """Rewards of responses (columns prompt as JSON, response) by the held-out model, on the responses' index."""
    job = _job(params, paths)
    _trained(job)  # a look-up by fingerprint, where it is trained
    columns = responses["prompt"].tolist(), responses["response"].tolist()
    rewards = score_texts(params, paths, [job.model], *columns, model_paths={job.model: job.out})
    return pd.Series(rewards[job.model], index=responses.index, name="score")


def largest_base(params: Params, paths: Paths) -> str:
    """The base with the most parameters, as counted when it was made; the last of equals."""
    return max(reversed(params.bases), key=lambda name: base_files.n_parameters(paths.base(name)))


def _trained(job: TrainJob) -> TrainResult:
    from more_repro.reward.training import train_reward_model  # here: a process that only asks for it needs no torch

    train_together([job], "held-out reward model")
    return train_reward_model(job)


def _job(params: Params, paths: Paths) -> TrainJob:
    base, sources = largest_base(params, paths), tuple(params.sources)
    pairs = tuple(paths.pairs(source, "validation") for source in sources)
    regime = next(iter(params.regimes))
    model = RewardModelId(base, NONE, HELD_OUT, MIXTURE, 0)
    steps = params.judge.steps
    size = steps * params.rm.pairs_per_source_per_batch
    rows = tuple(_rows(path, size) for path in pairs)
    return TrainJob(
        model=model,
        base=paths.base(base),
        sources=sources,
        pairs=pairs,
        rows=rows,
        rm=params.rm,
        scheme=SCHEME,
        learning_rate=params.regimes[regime].learning_rate,
        steps=steps,
        out=paths.scratch / HELD_OUT / base,
        scratch=paths.scratch,
    )


def _rows(path: Path, size: int) -> tuple[str, ...]:
    """The table's pairs in its order, over and over: the judge's steps may pass the data more than once."""
    pair_ids = tables.read(path, "pairs")["pair_id"].tolist()
    return tuple(itertools.islice(itertools.cycle(pair_ids), size))
