"""Local files: what they hold, by their content and not only by their name.

`datasets` is not used for local files: it accepts missing keys and null lines, and may serve stale rows from its cache.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from more_repro.files.csv_rows import JsonColumns, check_delimiter, looks_like_header, no_columns, read_csv
from more_repro.files.json_rows import read_lines, read_list
from more_repro.files.local_path import said
from more_repro.files.parquet_rows import read_parquet
from more_repro.files.rows import InputError, RawRows, Row

_GZIP, _PARQUET, _BYTE_ORDER = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_Reader = Callable[[bytes, str], Iterator[Row]]
_READERS: dict[str, _Reader] = {
    "JSON list": read_list,
    "JSON Lines": read_lines,
    "Parquet": read_parquet,
}
_ENDINGS = {".json": "JSON list", ".jsonl": "JSON Lines", ".ndjson": "JSON Lines", ".csv": "CSV", ".parquet": "Parquet"}
_LONGEST_HEADER = 2**16  # bytes
_KNOWN = "a JSON list '[..', JSON Lines '{..', CSV with a header, or Parquet; each also as gzip"


def open_file(path: Path, name: str | None = None, json_columns: JsonColumns = no_columns) -> RawRows:
    """The raw rows of a file, its container as its content shows it.

    name: of the file, as the params say it. json_columns: of a CSV header, the columns whose cells hold JSON.

    Raises InputError where the file is empty, cut, none of the known containers, or not what its name says; while
    rows are taken, where it is not UTF-8 or cannot be read on. Rows that are broken one by one come as InputErrors.
    """
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), "file", said(error), "a file that can be read") from None
    data = _unpacked(path, stored)
    if not data or data.isspace():
        raise InputError(str(path), "file", "nothing", "at least one row")
    container = _container(path, data)
    readers = _READERS | {"CSV": partial(read_csv, json_columns=json_columns)}
    return RawRows(
        file=name or path.name,
        container=container if data is stored else f"{container}, gzip",
        rows=readers[container](data.removeprefix(_BYTE_ORDER), str(path)),
        n_bytes=len(stored),
        hasher=hashlib.sha256(stored),
        revision="",
    )


def _unpacked(path: Path, stored: bytes) -> bytes:
    packed, named = stored.startswith(_GZIP), path.suffix == ".gz"
    if stored and packed != named:
        found, expected = ("gzip", "a name that ends in .gz") if packed else ("no gzip file", "gzip, as the name says")
        raise InputError(str(path), "container", found, expected)
    if not packed:
        return stored
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(str(path), "file", str(error), "a whole gzip file") from None


def _container(path: Path, data: bytes) -> str:
    """What the content shows; where it shows nothing, what the name says, so that errors name a line."""
    shown, named = _shown(data), next((_ENDINGS[end] for end in reversed(path.suffixes) if end in _ENDINGS), None)
    if shown and named and shown != named:
        raise InputError(str(path), "container", shown, f"{named}, as the name says, or another name")
    container = shown or named
    if container is None:
        check_delimiter(_first_line(data), f"{path}:1")
        raise InputError(str(path), "container", data[:20], _KNOWN)
    return container


def _shown(data: bytes) -> str | None:
    if data.startswith(_PARQUET):
        return "Parquet"
    start = data[:4096].removeprefix(_BYTE_ORDER).lstrip()
    if start[:1] in (b"[", b"{"):
        return "JSON list" if start[:1] == b"[" else "JSON Lines"
    return "CSV" if looks_like_header(_first_line(data)) else None


def _first_line(data: bytes) -> str:
    """The first line that is not blank."""
    start = data[:_LONGEST_HEADER].removeprefix(_BYTE_ORDER).lstrip(b"\r\n")
    return (start.splitlines() or [b""])[0].decode("utf-8", "replace")
