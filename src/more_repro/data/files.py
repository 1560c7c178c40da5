"""Strict reading of local JSON and JSON Lines: every error names file, line and column, nothing is guessed.

`datasets` is not used for local files: it accepts missing keys and null lines, and may serve stale rows from its cache.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from more_repro.data.rows import SourceError

Row = tuple[str, dict[str, Any]]  # where it stands, for messages; the row


def local_path(folder: str | Path, name: str | None, source: str, split: str) -> Path:
    """The file `name` of data.folder. Raises SourceError if it is not given, absent, or outside the folder."""
    where = f"params sources.{source}.{split}"
    if name is None:
        raise SourceError(where, split, None, f"the name of a file under {folder}")
    inside = PurePath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise SourceError(where, split, name, f"a path inside {folder}, without '..'")
    path = Path(folder) / inside
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise SourceError(where, split, name, f"a file that stays inside {folder}; this link leads out of it")
    if not path.is_file():
        raise SourceError(where, split, name, f"a file that exists at {path}")
    return path


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a .json file (a list of objects) or .jsonl file (an object on each line), either also as .gz."""
    kind = [suffix for suffix in path.suffixes if suffix != ".gz"][-1:]
    if kind == [".jsonl"]:
        return _read_lines(path)
    if kind == [".json"]:
        return _read_list(path)
    raise SourceError(str(path), "name", path.name, "a name that ends in .json, .jsonl, .json.gz or .jsonl.gz")


def _read_lines(path: Path) -> Iterator[Row]:
    number = 0
    for number, line in enumerate(_bytes(path).splitlines(), start=1):
        where = f"{path}:{number}"
        yield where, _as_object(_parse(_text(line, where), where), where)
    if number == 0:
        raise SourceError(str(path), "file", "", "at least one line")


def _read_list(path: Path) -> Iterator[Row]:
    data = _bytes(path)
    value = _parse(_text(data, str(path)), str(path))
    if not isinstance(value, list) or not value:
        raise SourceError(str(path), "file", value, "a list of at least one object")
    for number, row in enumerate(value, start=1):
        where = f"{path} row {number}"
        yield where, _as_object(row, where)


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise SourceError(str(path), "file", str(error), "a whole gzip file") from None
    return data.removeprefix(b"\xef\xbb\xbf")


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = f"{where}:{line}" if b"\n" in data else where
        raise SourceError(place, "bytes", data[error.start : error.end], "UTF-8 text") from None


def _parse(text: str, where: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
        if "\\ud" in text or "\\uD" in text:  # half of a surrogate pair is valid JSON, and no text
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}" if "\n" in text else f"{where}:{error.colno}"
        raise SourceError(place, "JSON", text[error.pos : error.pos + 20], error.msg) from None
    except UnicodeEncodeError as error:
        raise SourceError(where, "JSON", str(error.object[error.start : error.end]), "whole characters") from None
    except _BadValueError as error:
        raise SourceError(where, error.field, error.found, error.expected) from None
    except RecursionError:
        raise SourceError(where, "JSON", text[:20], "objects that are not nested so deep") from None


class _BadValueError(ValueError):
    def __init__(self, field: str, found: str, expected: str) -> None:
        super().__init__(field)
        self.field, self.found, self.expected = field, found, expected


def _no_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in items:
        if key in row:
            raise _BadValueError(key, key, "each key once")
        row[key] = value
    return row


def _no_constant(name: str) -> float:
    raise _BadValueError("number", name, "a finite number")


def _as_object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(where, "row", value, "an object")
    return value
