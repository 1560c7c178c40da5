"""Seeded generators by name: a draw never depends on what else was drawn, nor on which sources there are."""

import hashlib
from collections.abc import Iterable

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """The generator of a seed and the names of what is drawn: same seed and names, same numbers."""
    digest = hashlib.sha256("|".join([str(seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def stream(seed: int, *names: str) -> np.random.Generator:
    """The generator of these names: the same seed and names give the same stream, other names an independent one."""
    return np.random.default_rng(np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, *_words("\x1f".join(names))]))


def order_by_hash(keys: Iterable[str], seed: int, purpose: str) -> list[str]:
    """The different keys, in an order drawn for each key alone: a key's rank among others never depends on a source."""
    return sorted(set(keys), key=lambda key: hashlib.sha256(f"{seed}\x1f{purpose}\x1f{key}".encode()).digest())


def _words(text: str) -> list[int]:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return [int.from_bytes(digest[start : start + 4], "big") for start in range(0, 32, 4)]
