"""Digests that name work in the scratch folder: equal inputs and code, equal name. Light to import."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from more_repro import closure, tables

PACKAGE = Path(tables.__file__).parent


def digest(parts: Iterable[str]) -> str:
    """sha256 over parts; JSON keeps their borders apart."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def code_digest(modules: Iterable[str]) -> str:
    """sha256 over what modules of this package do, named relative to it; a comment or docstring changes nothing."""
    return closure.code_digest(PACKAGE / name for name in modules)
