"""Prompts of the alignment study, and the policy's own samples, drawn once for all reward models."""

from itertools import zip_longest

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.engine.memory import token_budget_of
from more_repro.lm import bases, generation
from more_repro.lm.device import dtype_of, pick_device
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import Split, prompt_from_json

# Streams of random numbers of this module, told apart from those that others make of data.seed.
_STREAMS = {"train": 101, "validation": 102, "test": 103}


def train_prompts(params: Params, paths: Paths) -> pd.DataFrame:
    """Prompts that are sampled: [prompt_id, source, prompt], at most align.train_prompts of the train split."""
    return _prompts(params, paths, "train", params.align.train_prompts)


def test_prompts(params: Params, paths: Paths) -> pd.DataFrame:
    """Prompts that policies answer before the judge: [prompt_id, source, prompt], at most align.test_prompts."""
    return _prompts(params, paths, "test", params.align.test_prompts)


def sample_policy(params: Params, paths: Paths) -> pd.DataFrame:
    """`samples_per_prompt` responses of the untuned policy to every train prompt: the table "samples"."""
    prompts = train_prompts(params, paths)
    base = paths.base(params.align.policy)
    tokenizer = bases.load_tokenizer(base)
    model = bases.load_causal_lm(base, dtype_of(params.rm.precision)).to(pick_device())  # type: ignore[arg-type]
    drawn = generation.generate(
        model,
        tokenizer,
        [prompt_from_json(text) for text in prompts["prompt"]],
        n=params.align.samples_per_prompt,
        max_new_tokens=params.align.max_new_tokens,
        temperature=params.align.temperature,
        seed=params.data.seed,
        batch_size=generation_batch(params),
        max_prompt_tokens=prompt_room(params.rm.max_length, params.align.max_new_tokens),
    )
    rows = [
        (*prompt, number, one.text, one.n_tokens, one.finished)
        for prompt, responses in zip(prompts.itertuples(index=False), drawn, strict=True)
        for number, one in enumerate(responses)
    ]
    columns = ["prompt_id", "source", "prompt", "number", "response", "n_tokens", "finished"]
    return tables.check(pd.DataFrame(rows, columns=columns), "samples")


def prompt_room(max_length: int, max_new_tokens: int) -> int:
    """Tokens of a prompt that leave room for a whole response, so that no position is beyond those trained on."""
    return max(1, max_length - max_new_tokens)


def generation_batch(params: Params) -> int:
    """Sequences decoded together: no graph is kept, so four times the tokens of a training micro-batch fit."""
    return max(1, 4 * token_budget(params) // (params.rm.max_length + params.align.max_new_tokens))


def token_budget(params: Params) -> int:
    """Tokens of one micro-batch on this device: rm.token_budget, or what suits the device."""
    return token_budget_of(params.rm.token_budget, pick_device())


def _prompts(params: Params, paths: Paths, split: Split, most: int) -> pd.DataFrame:
    """The sources in turn, each in a seeded order, so that every source gives the same number while it lasts.

    A prompt that several sources hold counts once, for the source whose turn found it.
    """
    rng = np.random.default_rng([params.data.seed, _STREAMS[split]])
    columns = []
    for source in params.align.sources:
        pairs = tables.read(paths.pairs(source, split), "pairs")
        found = pairs.drop_duplicates("prompt_id").sort_values("prompt_id")[["prompt_id", "source", "prompt"]]
        columns.append(found.iloc[rng.permutation(len(found))].itertuples(index=False, name=None))
    rows = [row for turn in zip_longest(*columns) for row in turn if row is not None]
    table = pd.DataFrame(rows, columns=["prompt_id", "source", "prompt"])
    return table.drop_duplicates("prompt_id").head(most).reset_index(drop=True)
