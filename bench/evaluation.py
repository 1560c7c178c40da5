"""Time of the calibration stage on a synthetic scores table; the last line is one JSON object."""

import argparse
import json
import time

import numpy as np
import pandas as pd

from more_repro.evaluation.stages import evaluate_all
from more_repro.params import load_params

SOURCES = ("helpful", "harmless", "oasst1", "webgpt", "summarize")
MIXED = ("multitask", "more", "more_slow", "proportional", "random", "averaging")


def models(n_models: int) -> list[tuple[str, str, str, str, int]]:
    """Keys of so many reward models: mixtures, singles and raw heads of two bases, regime by regime, seed by seed."""
    kinds = [*((scheme, "mixture") for scheme in MIXED), *(("single", source) for source in SOURCES)]
    keys: list[tuple[str, str, str, str, int]] = []
    seed = 0
    while len(keys) < n_models:
        for base in ("tiny", "small"):
            keys += [(base, regime, *kind, seed) for regime in ("balanced", "resampled") for kind in kinds]
            keys.append((base, "none", "raw", "none", seed))
        seed += 1
    return keys[:n_models]


def scores(n_models: int, n_pairs: int, n_validation: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of n_models and the length rule on five sources, two pairs to a prompt; the truth of the test pairs."""
    rng = np.random.default_rng(0)
    parts = [(split, source, n) for source in SOURCES for split, n in (("test", n_pairs), ("validation", n_validation))]
    ids = [f"{source}-{split}-{i}" for split, source, n in parts for i in range(n)]
    pairs = pd.DataFrame(
        {
            "split": np.repeat([split for split, _, _ in parts], [n for _, _, n in parts]),
            "source": np.repeat([source for _, source, _ in parts], [n for _, _, n in parts]),
            "pair_id": ids,
            "prompt_id": [f"{source}-{split}-{i // 2}" for split, source, n in parts for i in range(n)],
        }
    )
    common = rng.standard_normal(len(pairs))
    frames = []
    for base, regime, scheme, trained_on, seed in models(n_models):
        margins = rng.uniform(0.5, 1.5) * 0.8 * (0.4 + 0.8 * common + 0.6 * rng.standard_normal(len(pairs)))
        key = {"base": base, "regime": regime, "scheme": scheme, "trained_on": trained_on, "seed": seed}
        frames.append(pairs.assign(**key, reward_chosen=margins, reward_rejected=0.0))
    words = pairs.assign(base="none", regime="none", scheme="length", trained_on="none", seed=0)
    frames.append(words.assign(reward_chosen=rng.integers(5, 40, len(pairs)), reward_rejected=20.0))
    test = pairs["pair_id"][pairs["split"] == "test"]
    truth = pd.DataFrame({"pair_id": test, "true_preference": 0.6, "shared_margin": rng.standard_normal(len(test))})
    return pd.concat(frames, ignore_index=True), truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=2000, help="test pairs of each of five sources")
    parser.add_argument("--validation", type=int, default=300, help="validation pairs of each source")
    parser.add_argument("--redraws", type=int, default=2000, help="null redraws, and bootstrap draws")
    asked = parser.parse_args()
    params = load_params("params/small.yaml")
    stats = params.stats.model_copy(update={"null_draws": asked.redraws, "bootstrap_draws": asked.redraws})
    params = params.model_copy(update={"stats": stats})
    table, truth = scores(asked.models, asked.pairs, asked.validation)
    begun = time.perf_counter()
    made = evaluate_all(params, table, truth)
    seconds = time.perf_counter() - begun
    print({name: len(rows) for name, rows in made.items()})
    print(json.dumps({"seconds": round(seconds, 2), "models": asked.models, "redraws": asked.redraws}))


if __name__ == "__main__":
    main()
