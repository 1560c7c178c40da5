"""Digest of the code that a result depends on, for names in the scratch folder. Light to import."""

import functools
from collections.abc import Iterable
from pathlib import Path

from more_repro import tables
from more_repro.store import code_key

PACKAGE = Path(tables.__file__).parent


def code_digest(modules: Iterable[str]) -> str:
    """sha256 over what modules of this package do, named relative to it; a comment or docstring changes nothing."""
    return _digest(tuple(modules))


@functools.cache
def _digest(modules: tuple[str, ...]) -> str:
    """Read once in a process: what runs is what was loaded, and parsing costs as much as a hundred small steps."""
    return code_key.code_digest(PACKAGE / name for name in modules)
