"""Mixing: every source is brought to the same number of pairs, by leaving pairs out or by showing them again."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.data.streams import stream
from more_repro.params import Data, Params
from more_repro.paths import Paths


def mix_all(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Write the mixture of each regime and seed, and return `mixture_summary`, which is written too.

    Training takes the rows of a source by position, B for each step. A seed draws its own pairs and its own order, so
    that the spread over seeds holds that of the training data. A source's draws depend on the seeds and on its name
    alone, so regimes that keep as many of its pairs show the same ones in the same order.
    """
    ids = {name: list(tables.read(paths.pairs(name, "train"), "pairs")["pair_id"]) for name in params.sources}
    summary = []
    for regime, seed in itertools.product(params.regimes, params.seeds):
        mixture = mix(ids, params.regimes[regime].unique_pairs, params.data, seed)
        tables.write(mixture, paths.mixture(regime, seed), "mixture")
        if seed == params.seeds[0]:  # a seed changes which pairs are kept, never how many
            counts = mixture.groupby("source", sort=False)["pair_id"].agg(["nunique", "size"])
            summary += [(regime, name, len(ids[name]), *row) for name, *row in counts.itertuples()]
    columns = ["regime", "source", "available_pairs", "unique_pairs", "resampled_pairs"]
    table = pd.DataFrame(summary, columns=columns)
    table["mean_passes"] = table["resampled_pairs"] / table["unique_pairs"]
    tables.write(table, paths.table("data_mixing", "mixture_summary"), "mixture_summary")
    return {"mixture_summary": tables.check(table, "mixture_summary")}


def mix(ids: Mapping[str, Sequence[str]], unique_pairs: Mapping[str, int], data: Data, seed: int) -> pd.DataFrame:
    """One mixture, the table "mixture". ids: pair_ids of each source; unique_pairs: sources that keep so many only."""
    parts = []
    for name, available in ids.items():
        names = (name, str(seed))
        unique = choose_unique(available, unique_pairs.get(name), stream(data.seed, "mixing", "unique", *names))
        mixed = resample(unique, data.pairs_per_source, stream(data.seed, "mixing", "resample", *names))
        parts.append(mixed.assign(source=name))
    return pd.concat(parts, ignore_index=True)


def choose_unique(pair_ids: Sequence[str], most: int | None, rng: np.random.Generator) -> list[str]:
    """The first `most` of the pairs in a random order (None, or more than there are: all).

    With an equal generator a smaller choice is the beginning of a larger one. Raises ValueError if an id comes twice.
    """
    if len(set(pair_ids)) != len(pair_ids):
        raise ValueError(f"{len(pair_ids) - len(set(pair_ids))} of {len(pair_ids)} pair_ids are there twice")
    order = rng.permutation(len(pair_ids))
    return [pair_ids[index] for index in order[:most]]


def resample(pair_ids: Sequence[str], size: int, rng: np.random.Generator) -> pd.DataFrame:
    """Exactly `size` rows [position, pair_id, pass_number], whole shuffled passes first, then a part of one.

    So each pair comes floor(size / n) or ceil(size / n) times. Raises ValueError where there is nothing to draw from.
    """
    if not pair_ids or size < 0:
        raise ValueError(f"cannot draw {size} rows from {len(pair_ids)} pairs")
    n = len(pair_ids)
    n_passes = -(-size // n)
    order = np.concatenate([rng.permutation(n) for _ in range(n_passes)] or [np.empty(0, np.int64)])[:size]
    position = np.arange(size)
    return pd.DataFrame(
        {
            "position": position,
            "pair_id": pd.Series([pair_ids[index] for index in order], dtype="str"),
            "pass_number": position // n,
        }
    )
