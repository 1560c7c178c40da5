"""Synthetic scores with a known law, for every test of this room."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from more_repro.params import Stats

SOURCES = ("helpful", "harmless", "oasst1")


@pytest.fixture
def stats() -> Stats:
    return Stats(seed=7, bins=10, null_draws=200, bootstrap_draws=50, permutation_draws=500, confidence=0.95)


@pytest.fixture(scope="session")
def calibrated() -> Callable[..., np.ndarray]:
    """margins(n, rng, a, scale): 2a(a + e), exactly calibrated at scale 1, over-confident above."""

    def margins(n: int, rng: np.random.Generator, a: float = 0.4, scale: float = 1.0) -> np.ndarray:
        return scale * 2 * a * (a + rng.standard_normal(n))

    return margins


@pytest.fixture(scope="session")
def scores(calibrated) -> pd.DataFrame:
    """Two bases x one regime x [singles, multitask, more, averaging, sweep] x three seeds, raw and the length rule."""
    rng = np.random.default_rng(0)
    frames = []

    def add(base, regime, scheme, trained_on, seed, scale, weak=()):
        for split, n in (("test", 200), ("validation", 100)):
            for source in SOURCES:
                if trained_on.startswith("first") and (split != "test" or source == "oasst1"):
                    continue
                a = 0.05 if source in weak else 0.5
                # The two mixed models order pairs alike: multitask is more with other margins.
                alike = scheme in ("multitask", "more") and trained_on == "mixture"
                draws = np.random.default_rng([seed, len(base), SOURCES.index(source), n]) if alike else rng
                ids = [f"{source}-{split}-{i}" for i in range(n)]
                frames.append(
                    pd.DataFrame(
                        {"base": base, "regime": regime, "scheme": scheme, "trained_on": trained_on, "seed": seed}
                        | {"split": split, "source": source, "pair_id": ids}
                        | {"prompt_id": [f"{source}-{split}-{i // 2}" for i in range(n)]}
                        | {"reward_chosen": calibrated(n, draws, a, scale), "reward_rejected": 0.0}
                    )
                )

    for base in ("tiny", "small"):
        for seed in range(3):
            for number, source in enumerate(SOURCES):
                add(base, "resampled", "single", source, seed, 1.0 + number, set(SOURCES) - {source})
            add(base, "resampled", "multitask", "mixture", seed, 2.0)
            add(base, "resampled", "more", "mixture", seed, 1.0)
            add(base, "resampled", "averaging", "mixture", seed, 0.5, SOURCES)
            add(base, "none", "raw", "none", seed, 0.1, SOURCES)
            if base == "tiny":
                add(base, "resampled", "multitask", "first2", seed, 1.5)
                add(base, "resampled", "more", "first2", seed, 1.8)
    add("none", "none", "length", "none", 0, 5.0)
    table = pd.concat(frames, ignore_index=True)
    return pd.concat([table, table[table["scheme"] == "length"]], ignore_index=True)  # as from two bases' tables


@pytest.fixture(scope="session")
def truth(scores) -> pd.DataFrame:
    ids = scores.loc[scores["split"] == "test", "pair_id"].unique()
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"pair_id": ids, "true_preference": rng.uniform(0.2, 0.9, len(ids)), "shared_margin": rng.normal(size=len(ids))}
    )
