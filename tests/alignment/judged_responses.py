"""Small tables of responses for the judges' tests."""

import pandas as pd

from more_repro import tables
from more_repro.alignment.sampling.best_of_n import reference_key
from more_repro.params import Stats
from more_repro.records import Message, prompt_json

STATS = Stats(seed=0, bins=10, null_draws=10, bootstrap_draws=2000, permutation_draws=10, confidence=0.95)


def key_of(name):
    if not isinstance(name, tuple):
        return reference_key(name)
    scheme, seed = name
    policy = {"policy": f"{scheme}{seed}", "base": "b", "regime": "r"}
    return {**policy, "scheme": scheme, "trained_on": "mixture", "seed": seed}


def table_of(texts_of, source=lambda number: "helpful"):
    """A responses table from {policy or (scheme, seed): list of responses, one for each prompt}."""
    rows = [
        {
            **key_of(name), "prompt_id": f"p{number}", "source": source(number),
            "prompt": prompt_json((Message("user", f"question {number}"),)), "response": text, "n_tokens": 1,
            "finished": True, "settings": "{}",
        }
        for name, texts in texts_of.items()
        for number, text in enumerate(texts)
    ]  # fmt: skip
    return tables.check(pd.DataFrame(rows), "responses")


def scored_of(scores_of, n_prompts, source=lambda number: "helpful"):
    """A responses table and its scores from {policy or (scheme, seed): list of scores}."""
    table = table_of({name: ["a"] * n_prompts for name in scores_of}, source)
    return table, pd.Series([score for scores in scores_of.values() for score in scores], dtype=float)
