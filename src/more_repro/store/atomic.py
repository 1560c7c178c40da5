"""Files written whole or not at all: what a kill leaves behind is never taken for a result."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends well.

    Missing folders are made. After an error the temporary file is removed, and `path` is as it was. Processes and
    threads that write the same path do not meet: the last one to end wins, whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def part_of(path: Path) -> Path:
    """`.<name>.<process>.<thread>.part`, beside the path: hidden, and of this writer alone."""
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
