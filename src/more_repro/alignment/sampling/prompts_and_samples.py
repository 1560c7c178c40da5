"""Prompts of the alignment study, and the policy's own samples, drawn once for all reward models."""

import json
from itertools import zip_longest

import pandas as pd
import torch

from more_repro import tables
from more_repro.alignment.sampling.sample_cache import SampleRequest, draw, sampler_version
from more_repro.engine.batching.activation_memory import token_budget_of
from more_repro.lm import base_files, bases, generation
from more_repro.lm.device import pick_device
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import Split, prompt_from_json
from more_repro.stats.random import numbered

# Streams of random numbers of this module, told apart from those that others make of data.seed.
_STREAMS = {"train": 101, "validation": 102, "test": 103}


def train_prompts(params: Params, paths: Paths) -> pd.DataFrame:
    """Prompts that are sampled: [prompt_id, source, prompt], at most align.train_prompts of the train split."""
    return _prompts(params, paths, "train", params.align.train_prompts)


def test_prompts(params: Params, paths: Paths) -> pd.DataFrame:
    """Prompts that policies answer before the judge: [prompt_id, source, prompt], at most align.test_prompts."""
    return _prompts(params, paths, "test", params.align.test_prompts)


def sample_policy(params: Params, paths: Paths) -> pd.DataFrame:
    """`samples_per_prompt` responses of the policy to every train prompt: the table "samples"."""
    return _sampled(params, paths, train_prompts(params, paths), params.align.samples_per_prompt, "samples")


def sample_best_of(params: Params, paths: Paths) -> pd.DataFrame:
    """Responses of the policy to the first `best_of.prompts` test prompts: the table "samples".

    There is one more for each prompt than `best_of.samples`: number 0 is the reference that a choice among the numbers
    from 1 on is judged against.
    """
    best_of = params.align.best_of
    prompts = test_prompts(params, paths).head(best_of.prompts)
    return _sampled(params, paths, prompts, best_of.samples + 1, "best-of-n samples")


def generation_settings(params: Params, paths: Paths) -> str:
    """JSON of all that the policy's responses are drawn with; what every row of the table "samples" carries.

    The policy is named by the fingerprint of its files. Raises ImportError where the sampler is not installed.
    """
    request = _request(params, paths, n=1)
    settings = {
        "sampler": request.sampler,
        "sampler_version": sampler_version(request.sampler),
        "torch_version": torch.__version__,
        "precision": request.precision,
        "temperature": request.temperature,
        "max_new_tokens": request.max_new_tokens,
        "max_prompt_tokens": request.max_prompt_tokens,
        "seed": request.seed,
        "policy": base_files.fingerprint(request.policy),
    }
    return json.dumps(settings)


def sample_counts(params: Params, paths: Paths, samples: pd.DataFrame) -> pd.DataFrame:
    """By source: prompts, how many of them were cut on the left, and what shares of the responses are distinct among
    those to the same prompt and finished by the policy itself.

    Columns source, n_prompts, n_cut_prompts, n_samples, mean_tokens, distinct_share, finished_share.
    """
    room = prompt_room(params.rm.max_length, params.align.max_new_tokens)
    prompts = samples.drop_duplicates("prompt_id")[["source", "prompt"]]
    tokenizer = bases.load_tokenizer(paths.policy)
    _, cut = generation.encode_cut(tokenizer, [prompt_from_json(text) for text in prompts["prompt"]], room)
    repeated = samples.duplicated(["prompt_id", "response"])
    by_source = samples.assign(distinct=~repeated).groupby("source", sort=False)
    counts = by_source.agg(
        n_prompts=("prompt_id", "nunique"),
        n_samples=("response", "size"),
        mean_tokens=("n_tokens", "mean"),
        distinct_share=("distinct", "mean"),
        finished_share=("finished", "mean"),
    )
    counts.insert(1, "n_cut_prompts", prompts.assign(cut=cut).groupby("source", sort=False)["cut"].sum())
    return counts.reset_index()


def prompt_room(max_length: int, max_new_tokens: int) -> int:
    """Tokens of a prompt that leave room for a whole response, so that no position is beyond those trained on."""
    return max(1, max_length - max_new_tokens)


def generation_batch(params: Params) -> int:
    """Sequences decoded together: no graph is kept, so four times the tokens of a training micro-batch fit.

    On a CPU at least 64: with fewer rows a step of a small model takes as long.
    """
    least = 64 if pick_device().type == "cpu" else 1
    return max(least, 4 * token_budget(params) // (params.rm.max_length + params.align.max_new_tokens))


def token_budget(params: Params) -> int:
    """Tokens of one micro-batch on this device: rm.token_budget, or what suits the device."""
    return token_budget_of(params.rm.token_budget, pick_device())


def _request(params: Params, paths: Paths, n: int) -> SampleRequest:
    align = params.align
    return SampleRequest(
        policy=paths.policy,
        sampler=align.sampler,
        precision=params.rm.precision,
        n=n,
        max_new_tokens=align.max_new_tokens,
        temperature=align.temperature,
        seed=params.data.seed,
        batch_size=generation_batch(params),
        max_prompt_tokens=prompt_room(params.rm.max_length, align.max_new_tokens),
    )


def _sampled(params: Params, paths: Paths, prompts: pd.DataFrame, n: int, label: str) -> pd.DataFrame:
    drawn = draw(_request(params, paths, n), prompts["prompt"].tolist(), paths.scratch / "samples", label)
    rows = [
        (*prompt, number, one.text, one.n_tokens, one.finished)
        for prompt, responses in zip(prompts.itertuples(index=False), drawn, strict=True)
        for number, one in enumerate(responses)
    ]
    columns = ["prompt_id", "source", "prompt", "number", "response", "n_tokens", "finished"]
    settings = generation_settings(params, paths)
    return tables.check(pd.DataFrame(rows, columns=columns).assign(settings=settings), "samples")


def _prompts(params: Params, paths: Paths, split: Split, most: int) -> pd.DataFrame:
    """The sources in turn, each in a seeded order, so that every source gives the same number while it lasts.

    A prompt that several sources hold counts once, for the source whose turn found it.
    """
    rng = numbered(params.data.seed, _STREAMS[split])
    columns = []
    for source in params.align.sources:
        pairs = tables.read(paths.pairs(source, split), "pairs")
        found = pairs.drop_duplicates("prompt_id").sort_values("prompt_id")[["prompt_id", "source", "prompt"]]
        columns.append(found.iloc[rng.permutation(len(found))].itertuples(index=False, name=None))
    rows = [row for turn in zip_longest(*columns) for row in turn if row is not None]
    table = pd.DataFrame(rows, columns=["prompt_id", "source", "prompt"])
    return table.drop_duplicates("prompt_id").head(most).reset_index(drop=True)
