"""A tiny embedded study on disk: a base of random weights, pairs, mixtures."""

from pathlib import Path

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Params, load_params
from more_repro.paths import Paths
from more_repro.records import PreferencePair, prompt_json
from tiny_models import random_pairs, write_base


def pairs_table(pairs: list[PreferencePair]) -> pd.DataFrame:
    rows = [
        {
            "pair_id": pair.pair_id, "prompt_id": pair.prompt_id, "source": pair.source,
            "prompt": prompt_json(pair.prompt), "chosen": pair.chosen, "rejected": pair.rejected,
            "true_preference": pair.true_preference, "shared_margin": pair.shared_margin,
            "score_margin": pair.score_margin,
        }
        for pair in pairs
    ]  # fmt: skip
    return pd.DataFrame(rows)


def tiny_params() -> Params:
    params = load_params(Path(__file__).parents[2] / "params" / "tiny.yaml")
    names = list(params.sources)[:3]
    update = {
        "sources": {name: params.sources[name] for name in names},
        "schemes": {name: params.schemes[name] for name in ("single", "multitask", "more")},
        "regimes": {"resampled": params.regimes["resampled"].model_copy(update={"unique_pairs": {}})},
        "rm": params.rm.model_copy(
            update={"pairs_per_source_per_batch": 4, "checkpoint_steps": 2, "token_budget": 256}
        ),
        "seeds": (0, 1),
    }
    return params.model_copy(update=update)


def write_study(root: Path, n_train: int = 24) -> tuple[Params, Paths]:
    params = tiny_params()
    paths = Paths(params.profile, root)
    for base in params.bases:
        write_base(paths.base(base))
    rng = np.random.default_rng(5)
    mixture = []
    for source in params.sources:
        for split, n in (("train", n_train), ("validation", 7), ("test", 9)):
            pairs = random_pairs(source, n, rng)
            tables.write(pairs_table(pairs), paths.pairs(source, split), "pairs")
            if split == "train":
                order = rng.permutation(n)
                mixture += [
                    {"source": source, "position": position, "pair_id": pairs[row].pair_id, "pass_number": 0}
                    for position, row in enumerate(order)
                ]
    for regime in params.regimes:
        for seed in params.seeds:
            tables.write(pd.DataFrame(mixture), paths.mixture(regime, seed), "mixture")
    return params, paths
