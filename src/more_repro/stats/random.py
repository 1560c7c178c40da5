"""Every random generator of numpy is made here, from a seed and what is drawn with it.

A draw never depends on what else was drawn. Three derivations stand side by side because published numbers come from
each of them, and another derivation would draw other numbers: `generator` (evaluation), `stream` (data) and `numbered`
(alignment, language models and the bootstrap). New code takes `stream`.
"""

import hashlib
from collections.abc import Iterable

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """Seeded by the first 128 bits of the sha256 of "seed|name|name": same seed and names, same numbers."""
    digest = hashlib.sha256("|".join([str(seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def stream(seed: int, *names: str) -> np.random.Generator:
    """Seeded by the seed's 64 bits and the sha256 of the names, which are kept apart ("a", "bc" is not "ab", "c").

    The same seed and names give the same stream, other names an independent one.
    """
    return np.random.default_rng(np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, *_words("\x1f".join(names))]))


def numbered(seed: int, *numbers: int) -> np.random.Generator:
    """Seeded by whole numbers, none of them negative, in numpy's own way; one seed alone is `default_rng(seed)`."""
    return np.random.default_rng([seed, *numbers])


def order_by_hash(keys: Iterable[str], seed: int, purpose: str) -> list[str]:
    """The different keys, in an order drawn for each key alone: a key's rank among others never depends on a source."""
    return sorted(set(keys), key=lambda key: hashlib.sha256(f"{seed}\x1f{purpose}\x1f{key}".encode()).digest())


def _words(text: str) -> list[int]:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return [int.from_bytes(digest[start : start + 4], "big") for start in range(0, 32, 4)]
