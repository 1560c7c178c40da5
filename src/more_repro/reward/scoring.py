"""Rewards of every model on every pair, and of chosen models on policy samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY, RewardModelId, Split, prompt_from_json
from more_repro.reward.derived_schemes import derive, derived_models, members, read_validation
from more_repro.reward.grid import LENGTH_RULE, encode_tables, model_ids, model_key, raw_ids
from more_repro.reward.jobs import PRELOAD, PairsJob, SamplesJob
from more_repro.schemes import ENSEMBLES, RAW, TrainedOn
from more_repro.workers import run_jobs

SCORED_SPLITS: tuple[Split, ...] = ("validation", "test")
_Part = tuple[Split, str]  # one pairs table: split and source


def score_base(params: Params, paths: Paths, base: str) -> pd.DataFrame:
    """Table "scores": every model of a base on validation and test of all sources; written to paths.scores(base).

    Sweep models (first<K>) score the test pairs of those of their K sources that are in align.sources. `raw` is the
    untrained head of each seed, `length` the words of a response; `averaging` and the ensembles are made of the
    single models.
    """
    todo = {model: _parts(params, model) for model in [*raw_ids(params, base), *model_ids(params, base)]}
    todo = {model: parts for model, parts in todo.items() if parts}
    every = [(split, source) for split in SCORED_SPLITS for source in params.sources]
    encoded = encode_tables(params, paths, base, [paths.pairs(source, split) for split, source in every])
    at = dict(zip(every, encoded, strict=True))
    pair_jobs = [
        PairsJob(model, _model_path(paths, model), tuple(at[part] for part in parts), params.rm.precision)
        for model, parts in todo.items()
    ]
    found: list[np.ndarray] = run_jobs(
        "more_repro.reward.score_job:score_pairs_job", pair_jobs, f"scores of {base}", PRELOAD
    )
    rewards = dict(zip(todo, found, strict=True))
    pairs = {part: tables.read(paths.pairs(part[1], part[0]), "pairs") for part in every}
    frames = [_frame(model, rewards[model], todo[model], pairs) for model in todo]
    n_validation = sum(len(pairs[part]) for part in every if part[0] == "validation")
    made = derive(
        params, paths, derived_models(params, base), rewards, lambda one: rewards[one][:, :n_validation].ravel()
    )
    frames += [_frame(model, values, every, pairs) for model, values in made.items()]
    frames.append(_frame(LENGTH_RULE, _lengths(pairs), every, pairs))
    table = tables.check(pd.concat(frames), "scores")
    tables.write(table, paths.scores(base), "scores")
    return table


def score_samples(params: Params, paths: Paths, models: Sequence[RewardModelId], samples: pd.DataFrame) -> pd.DataFrame:
    """Rewards of policy samples: model key, prompt_id, number, reward; models in the given order.

    samples: table "samples". models may be trained, raw, length, averaging or an ensemble, whose members' levels and
    scales are read from the scores of the base.
    """
    needed = list(dict.fromkeys(part for model in models for part in members(params, model)))
    rewards = score_texts(params, paths, needed, samples["prompt"].tolist(), samples["response"].tolist())
    scaled = list(dict.fromkeys(model.base for model in models if model.scheme in ENSEMBLES))
    made = derive(params, paths, models, rewards, read_validation(paths, scaled, params.roles.single))
    frames = []
    for model in models:
        rows = samples[["prompt_id", "number"]].assign(reward=made[model], **model_key(model))
        frames.append(rows[[*MODEL_KEY, "prompt_id", "number", "reward"]])
    if not frames:
        return pd.DataFrame(columns=[*MODEL_KEY, "prompt_id", "number", "reward"])
    return pd.concat(frames, ignore_index=True)


def score_texts(
    params: Params,
    paths: Paths,
    models: Sequence[RewardModelId],
    prompts: Sequence[str],
    responses: Sequence[str],
    model_paths: dict[RewardModelId, Path] | None = None,
) -> dict[RewardModelId, np.ndarray]:
    """Rewards (n,) float64 of n responses by each model, trained, raw or length. prompts: JSON, as in tables.

    model_paths: where a model lies that is none of the grid (a judge's).
    """
    from more_repro.engine.batching.token_pairs import encode_sequences
    from more_repro.lm.bases import load_tokenizer

    encoded = {}
    for base in dict.fromkeys(model.base for model in models if model != LENGTH_RULE):
        read = {prompt: prompt_from_json(prompt) for prompt in dict.fromkeys(prompts)}
        tokenizer = load_tokenizer(paths.base(base))
        sequences, rows, _ = encode_sequences(
            [read[prompt] for prompt in prompts], responses, tokenizer, params.rm.max_length
        )
        encoded[base] = (sequences.flat.numpy(), sequences.lengths.numpy(), rows.numpy())
    networks = [model for model in models if model != LENGTH_RULE]
    todo = [
        SamplesJob(
            model, (model_paths or {}).get(model) or _model_path(paths, model), paths.base(model.base),
            *encoded[model.base][:2], params.rm.precision,
        )
        for model in networks
    ]  # fmt: skip
    found: list[np.ndarray] = run_jobs(
        "more_repro.reward.score_job:score_samples_job", todo, "scores of samples", PRELOAD
    )
    rewards = {model: values[encoded[model.base][2]] for model, values in zip(networks, found, strict=True)}
    if LENGTH_RULE in models:
        rewards[LENGTH_RULE] = np.array([_words(response) for response in responses], dtype=np.float64)
    return rewards


def _parts(params: Params, model: RewardModelId) -> list[_Part]:
    trained_on = TrainedOn.parse(model.trained_on)
    if trained_on.kind == "first":
        swept = trained_on.sources(tuple(params.sources))
        return [("test", name) for name in swept if name in params.align.sources]
    return [(split, source) for split in SCORED_SPLITS for source in params.sources]


def _model_path(paths: Paths, model: RewardModelId) -> Path | None:
    return None if model.scheme == RAW else paths.reward_model(*(getattr(model, name) for name in MODEL_KEY))


def _frame(
    model: RewardModelId, rewards: np.ndarray, parts: Sequence[_Part], pairs: dict[_Part, pd.DataFrame]
) -> pd.DataFrame:
    rows = pd.concat([pairs[part][["source", "pair_id", "prompt_id"]].assign(split=part[0]) for part in parts])
    return rows.assign(**model_key(model), reward_chosen=rewards[0], reward_rejected=rewards[1])


def _lengths(pairs: dict[_Part, pd.DataFrame]) -> np.ndarray:
    table = pd.concat(list(pairs.values()))
    return np.array([[_words(text) for text in table[side]] for side in ("chosen", "rejected")], dtype=np.float64)


def _words(response: str) -> int:
    return len(response.split())
