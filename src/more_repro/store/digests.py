"""Digests of files and of lists of text: equal inputs, equal name."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def digest(parts: Iterable[str]) -> str:
    """sha256 over parts; JSON keeps their borders apart."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def json_digest(value: object) -> str:
    """sha256 of a value as JSON; the order of a mapping's keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def digest_of(*parts: object) -> str:
    """24 hex digits of parts that JSON can write: the name of a result that depends on them."""
    return json_digest(parts)[:24]
