"""Seeded generators by name, so that a draw does not depend on what else was drawn."""

import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """Generator of a seed and the names of what is drawn; same seed and names, same numbers."""
    digest = hashlib.sha256("|".join([str(seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
