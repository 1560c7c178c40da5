"""Local files: where they may lie, and what they hold, by their content and not only by their name.

`datasets` is not used for local files: it accepts missing keys and null lines, and may serve stale rows from its cache.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from more_repro.files.csv_rows import check_delimiter, looks_like_header, read_csv
from more_repro.files.json_rows import read_lines, read_list
from more_repro.files.parquet_rows import read_parquet
from more_repro.files.rows import RawRows, Row, SourceError

_GZIP, _PARQUET, _BYTE_ORDER = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_READERS: dict[str, Callable[[bytes, str], Iterator[Row]]] = {
    "JSON list": read_list,
    "JSON Lines": read_lines,
    "CSV": read_csv,
    "Parquet": read_parquet,
}
_ENDINGS = {".json": "JSON list", ".jsonl": "JSON Lines", ".ndjson": "JSON Lines", ".csv": "CSV", ".parquet": "Parquet"}
_LONGEST_HEADER = 2**16  # bytes
_KNOWN = "a JSON list '[..', JSON Lines '{..', CSV with a header, or Parquet; each also as gzip"


def local_path(folder: str | Path, name: str | None, source: str, split: str) -> Path:
    """The file `name` of data.folder. Raises SourceError if it is not given, absent, or outside the folder."""
    where = f"params sources.{source}.{split}"
    if name is None:
        raise SourceError(where, split, None, f"the name of a file under {folder}")
    inside = PurePath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise SourceError(where, split, name, f"a path inside {folder}, without '..'")
    path = Path(folder) / inside
    try:
        stays, exists = path.resolve().is_relative_to(Path(folder).resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a NUL, or a link to itself
        raise SourceError(where, split, name, f"the name of a file under {folder} ({_said(error)})") from None
    if not stays:
        raise SourceError(where, split, name, f"a file that stays inside {folder}; this link leads out of it")
    if not exists:
        raise SourceError(where, split, name, f"a file that exists at {path}")
    return path


def open_file(path: Path, name: str | None = None) -> RawRows:
    """The raw rows of a file, its container as its content shows it. name: as the params say it.

    Raises SourceError where the file is empty, cut, none of the known containers, or not what its name says; while
    rows are taken, where it is not UTF-8 or cannot be read on. Rows that are broken one by one come as SourceErrors.
    """
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise SourceError(str(path), "file", _said(error), "a file that can be read") from None
    data = _unpacked(path, stored)
    if not data or data.isspace():
        raise SourceError(str(path), "file", "nothing", "at least one row")
    container = _container(path, data)
    return RawRows(
        file=name or path.name,
        container=container if data is stored else f"{container}, gzip",
        rows=_READERS[container](data.removeprefix(_BYTE_ORDER), str(path)),
        n_bytes=len(stored),
        hasher=hashlib.sha256(stored),
        revision="",
    )


def _unpacked(path: Path, stored: bytes) -> bytes:
    packed, named = stored.startswith(_GZIP), path.suffix == ".gz"
    if stored and packed != named:
        found, expected = ("gzip", "a name that ends in .gz") if packed else ("no gzip file", "gzip, as the name says")
        raise SourceError(str(path), "container", found, expected)
    if not packed:
        return stored
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(str(path), "file", str(error), "a whole gzip file") from None


def _container(path: Path, data: bytes) -> str:
    """What the content shows; where it shows nothing, what the name says, so that errors name a line."""
    shown, named = _shown(data), next((_ENDINGS[end] for end in reversed(path.suffixes) if end in _ENDINGS), None)
    if shown and named and shown != named:
        raise SourceError(str(path), "container", shown, f"{named}, as the name says, or another name")
    container = shown or named
    if container is None:
        check_delimiter(_first_line(data), f"{path}:1")
        raise SourceError(str(path), "container", data[:20], _KNOWN)
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


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
