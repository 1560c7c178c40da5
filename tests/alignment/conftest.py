"""A whole small alignment study, run once: pairs of the embedded world, a small base, samples, policies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.alignment.judges import shared_utility
from more_repro.alignment.policies import instruction_tuning, rjs
from more_repro.alignment.sampling import best_of_n, prompts_and_samples
from more_repro.lm import bases
from more_repro.params import Params, load_params
from more_repro.paths import Paths
from more_repro.records import prompt_json
from more_repro.rendering import render_text
from more_repro.world import grammar


@dataclass(frozen=True)
class Study:
    params: Params
    paths: Paths
    samples: pd.DataFrame
    picks: pd.DataFrame
    responses: pd.DataFrame
    perplexity: pd.DataFrame


def make_inputs(params: Params, paths: Paths) -> None:
    rng = np.random.default_rng(0)
    for source in params.align.sources:
        for split, size in (("train", params.data.train_pairs), ("test", params.data.test_pairs)):
            pairs = grammar.make_pairs(source, size, split, params.data.drift, rng)
            columns = list(tables.SCHEMAS["pairs"])
            rows = [
                (
                    *(p.pair_id, p.prompt_id, p.source, prompt_json(p.prompt), p.chosen, p.rejected),
                    *(p.true_preference, p.shared_margin, p.score_margin),
                )
                for p in pairs
            ]
            tables.write(pd.DataFrame(rows, columns=columns), paths.pairs(source, split), "pairs")
    texts = [render_text(*row) for row in grammar.make_corpus(params.data.corpus_texts, 1.0, rng)]
    name = params.align.policy
    bases.make_base(name, params.bases[name], texts, paths.base(name), seed=1, max_length=params.rm.max_length)


def noisy_rewards(samples: pd.DataFrame, schemes=("multitask", "more"), seeds=(0, 1)) -> pd.DataFrame:
    utility = shared_utility.scores(samples).to_numpy()
    parts = []
    for seed in seeds:
        for number, scheme in enumerate(schemes):
            noise = np.random.default_rng([seed, number]).normal(0, 1 + number, len(samples))
            key = {"base": "nano", "regime": "resampled", "scheme": scheme, "trained_on": "mixture", "seed": seed}
            parts.append(samples[["prompt_id", "number"]].assign(**key, reward=utility + noise))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def params(root):
    return load_params(root / "params" / "tiny.yaml")


@pytest.fixture(scope="session")
def study(params, tmp_path_factory):
    paths = Paths("tiny", tmp_path_factory.mktemp("study"))
    make_inputs(params, paths)
    instruction_tuning.make_policy(params, paths)
    samples = prompts_and_samples.sample_policy(params, paths)
    picks = pd.concat(
        [
            best_of_n.pick(noisy_rewards(samples), samples),
            best_of_n.random_choice(samples, seed=0),
            best_of_n.oracle_choice(samples),
        ],
        ignore_index=True,
    )
    made = rjs.align_policies(params, paths, picks, samples)
    return Study(params, paths, samples, picks, made["responses"], made["perplexity"])


@pytest.fixture(scope="session")
def rewards_of():
    return noisy_rewards


@pytest.fixture(scope="session")
def inputs_of():
    return make_inputs
