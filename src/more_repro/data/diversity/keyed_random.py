"""Random choices keyed by prompt: one prompt makes the same choice in every source that holds it.

Two sources that share prompts share their noise, so halves, folds and bootstrap weights must be drawn together. Keys
make that so whatever the order of rows and however many processes work.
"""

import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from more_repro.stats.intervals import Floats
from more_repro.stats.random import stream

Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]

# P(Poisson(1) <= k); beyond the last entry it is 1 within a double's precision.
_POISSON = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(18)])


def prompt_keys(prompt_ids: Iterable[str]) -> Keys:
    """A 64-bit number for each prompt_id."""
    digests = b"".join(hashlib.blake2b(each.encode("utf-8"), digest_size=8).digest() for each in prompt_ids)
    return np.frombuffer(digests, dtype=np.uint64).copy()


def uniforms(keys: Keys, seed: int, purpose: str, n: int) -> Floats:
    """n independent numbers in [0, 1) for each of G keys, shape (n, G); equal keys get equal numbers."""
    salts = stream(seed, "diversity", purpose).integers(0, 2**64, size=n, dtype=np.uint64)
    return np.asarray((_mixed(keys[None, :] ^ salts[:, None]) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def halves(keys: Keys, seed: int, n: int) -> Flags:
    """n random splits of prompts into two halves, shape (n, G); True is the first half."""
    return np.asarray(uniforms(keys, seed, "halves", n) < 0.5)


def poisson_times(keys: Keys, seed: int, n: int) -> Floats:
    """How often each prompt comes in each of n Poisson bootstrap samples, shape (n, G), mean 1."""
    return np.searchsorted(_POISSON, uniforms(keys, seed, "bootstrap", n), side="right").astype(np.float64)


def order(keys: Keys, seed: int, purpose: str) -> NDArray[np.int64]:
    """Places of the keys in an order drawn for this purpose; a key's rank among others depends on no other key."""
    return np.argsort(uniforms(keys, seed, purpose, 1)[0], kind="stable").astype(np.int64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit out."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
