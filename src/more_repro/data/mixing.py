"""Mixing: every source is brought to the same number of pairs, by leaving pairs out or by showing them again."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Data, Params
from more_repro.paths import Paths
from more_repro.stats.random import stream

Ids = Sequence[str] | pd.Series


def mix_all(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Write the mixture of each regime and seed, and return `mixture_summary` and `mixture_manifest`, written too.

    Training takes the rows of a source by position, B for each step. A seed draws its own pairs and its own order, so
    that the spread over seeds holds that of the training data. A source's draws depend on the seeds and on its name
    alone, so regimes that keep as many of its pairs show the same ones in the same order.
    """
    ids = {
        name: tables.read_columns(paths.pairs(name, "train"), "pairs", ["pair_id"])["pair_id"]
        for name in params.sources
    }
    summaries, manifests = [], []
    for regime, seed in itertools.product(params.regimes, params.seeds):
        mixture = mix(ids, params.regimes[regime].unique_pairs, params.data, seed)
        tables.write(mixture, paths.mixture(regime, seed), "mixture")
        manifests += [(regime, seed, *line) for line in manifest(mixture)]
        if seed == params.seeds[0]:  # a seed changes which pairs are kept, never how many
            counts = mixture.groupby("source", sort=False)["pair_id"].agg(["nunique", "size"])
            summaries += [(regime, name, len(ids[name]), *row) for name, *row in counts.itertuples()]
    columns = ["regime", "source", "available_pairs", "unique_pairs", "resampled_pairs"]
    summary = pd.DataFrame(summaries, columns=columns)
    summary["mean_passes"] = summary["resampled_pairs"] / summary["unique_pairs"]
    result = {
        "mixture_summary": summary,
        "mixture_manifest": pd.DataFrame(manifests, columns=list(tables.SCHEMAS["mixture_manifest"])),
    }
    for name, table in result.items():
        tables.write(table, paths.table("data_mixing", name), name)
    return {name: tables.check(table, name) for name, table in result.items()}


def mix(ids: Mapping[str, Ids], unique_pairs: Mapping[str, int], data: Data, seed: int) -> pd.DataFrame:
    """One mixture, the table "mixture". ids: pair_ids of each source; unique_pairs: sources that keep so many only."""
    parts = []
    for name, available in ids.items():
        names = (name, str(seed))
        unique = choose_unique(available, unique_pairs.get(name), stream(data.seed, "mixing", "unique", *names))
        mixed = resample(unique, data.pairs_per_source, stream(data.seed, "mixing", "resample", *names))
        parts.append(mixed.assign(source=name))
    return pd.concat(parts, ignore_index=True)


def manifest(mixture: pd.DataFrame) -> list[tuple[int, str, int, int, str]]:
    """(k, sources, n_pairs, n_unique, sha256) of the first k sources for k = 2 up to all; k = 1 for one source alone.

    The digest is of the pair_ids in the order of the mixture, one a line: equal digests mean equal training pairs.
    """
    hasher = hashlib.sha256()
    lines: list[tuple[int, str, int, int, str]] = []
    names: list[str] = []
    n_pairs = n_unique = 0
    for name, pair_ids in mixture.groupby("source", sort=False)["pair_id"]:  # nested, so each adds to those before
        hasher.update(("\n" if names else "").encode() + "\n".join(pair_ids.tolist()).encode())
        names.append(str(name))
        n_pairs, n_unique = n_pairs + len(pair_ids), n_unique + int(pair_ids.nunique())
        lines.append((len(names), ", ".join(names), n_pairs, n_unique, hasher.copy().hexdigest()))
    return lines[1:] or lines


def choose_unique(pair_ids: Ids, most: int | None, rng: np.random.Generator) -> list[str]:
    """The first `most` of the pairs in a random order (None, or more than there are: all).

    With an equal generator a smaller choice is the beginning of a larger one. Raises ValueError if an id comes twice.
    """
    ids = pd.Series(pair_ids, dtype="str")
    repeated = int(ids.duplicated().sum())
    if repeated:
        raise ValueError(f"{repeated} of {len(ids)} pair_ids are there twice")
    return ids.take(rng.permutation(len(ids))[:most]).tolist()


def resample(pair_ids: Ids, size: int, rng: np.random.Generator) -> pd.DataFrame:
    """Exactly `size` rows [position, pair_id, pass_number], whole shuffled passes first, then a part of one.

    So each pair comes floor(size / n) or ceil(size / n) times. Raises ValueError where there is nothing to draw from.
    """
    n = len(pair_ids)
    if not n or size < 0:
        raise ValueError(f"cannot draw {size} rows from {n} pairs")
    passes = [rng.permutation(n) for _ in range(-(-size // n))]
    order = np.concatenate([np.empty(0, np.int64), *passes])[:size]
    position = np.arange(size)
    ids = pd.Series(pair_ids, dtype="str").take(order).reset_index(drop=True)
    return pd.DataFrame({"position": position, "pair_id": ids, "pass_number": position // n})
