"""Rows of instruction, input and output as Alpaca's data set has them: from the hub at one commit, or a local file."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from more_repro.alignment.policies.texts import Text
from more_repro.params import Instructions
from more_repro.records import Message, prompt_json

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ENDINGS = (".json", ".jsonl", ".parquet")
_Row = tuple[str, Any]  # where it stands, and what stands there


class InstructionError(ValueError):
    """An instruction that cannot be used; the message says where, in which field, what was found and expected."""

    def __init__(self, where: str, field: str, found: object, expected: str) -> None:
        shown = repr(found)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        super().__init__(f"{where}: field {field!r}: found {shown}, expected {expected}")


@dataclass(frozen=True, slots=True)
class InstructionRows:
    """texts: to be fine-tuned on. n_rows: that were read. n_empty: left out, without an output or an instruction."""

    texts: tuple[Text, ...]
    n_rows: int
    n_empty: int


def read_instructions(settings: Instructions, folder: Path) -> InstructionRows:
    """Every row as one message of the user (instruction, blank line, input) and the response.

    folder: where local files lie (JSON list, JSON Lines or Parquet by the name's ending).
    Raises InstructionError at the first row that breaks the format, and where no row is left.
    """
    rows = _hub_rows(settings) if settings.location is not None else _file_rows(folder, settings.train)
    texts, n_rows = [], 0
    for where, row in rows:
        n_rows += 1
        text = _text(where, row)
        if text is not None:
            texts.append(text)
    if not texts:
        raise InstructionError(f"{settings.location or folder}/{settings.train}", "rows", n_rows, "one with an output")
    return InstructionRows(tuple(texts), n_rows, n_rows - len(texts))


def _text(where: str, row: Any) -> Text | None:
    if not isinstance(row, dict):
        raise InstructionError(where, "row", row, "an object with instruction, input and output")
    instruction, output = (_field(where, row, name) for name in ("instruction", "output"))
    given = _field(where, row, "input") if row.get("input") is not None else ""
    message = "\n\n".join(part for part in (instruction, given) if part)
    if not message or not output:
        return None
    return Text(prompt_json((Message("user", message),)), output)


def _field(where: str, row: dict[str, Any], name: str) -> str:
    value = row.get(name, "nothing")
    if name not in row or not isinstance(value, str):
        raise InstructionError(where, name, value, "text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InstructionError(where, name, value, "whole characters") from None
    return value.strip()


def _file_rows(folder: Path, name: str) -> Iterator[_Row]:
    path = _local_path(folder, name)
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InstructionError(f"{path}:{line}", "bytes", error.object[error.start : error.end], "UTF-8") from None
    return _lines(path, text) if path.suffix == ".jsonl" else _list(path, text)


def _local_path(folder: Path, name: str) -> Path:
    path, where = folder / name, "params align.instructions.train"
    if PurePath(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise InstructionError(where, "train", name, f"a path that stays inside {folder}")
    if path.suffix not in _ENDINGS:
        raise InstructionError(where, "train", name, f"a file that ends in {', '.join(_ENDINGS)}")
    if not path.is_file():
        raise InstructionError(where, "train", name, f"a file that exists at {path}")
    return path


def _lines(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", _parsed(line, path, number)


def _list(path: Path, text: str) -> Iterator[_Row]:
    rows = _parsed(text, path, 1)
    if not isinstance(rows, list):
        raise InstructionError(str(path), "file", rows, "a JSON list of rows, or a name that ends in .jsonl")
    for number, row in enumerate(rows, start=1):
        yield f"{path} row {number}", row


def _parsed(text: str, path: Path, line: int) -> Any:
    def as_object(items: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(items)
        if len(row) != len(items):
            raise InstructionError(f"{path}:{line}", "keys", [key for key, _ in items], "each key once")
        return row

    try:
        return json.loads(text, object_pairs_hook=as_object)
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}:{error.colno}"
        raise InstructionError(where, "JSON", text[error.pos : error.pos + 40] or "the end", error.msg) from None
    except RecursionError:
        raise InstructionError(f"{path}:{line}", "JSON", text[:40], "objects not nested so deep") from None


def _parquet_rows(path: Path) -> Iterator[_Row]:
    import pyarrow.parquet  # here: most studies have no instructions

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise InstructionError(str(path), "file", str(error).partition("\n")[0], "a whole Parquet file") from None
    return ((f"{path} row {number}", row) for number, row in enumerate(rows, start=1))


def _hub_rows(settings: Instructions) -> Iterator[_Row]:
    # A data set that needs code is refused: this version of `datasets` runs none.
    import datasets

    location, where = str(settings.location), "params align.instructions"
    try:
        builder = datasets.load_dataset_builder(location, revision=settings.revision)
        builder.download_and_prepare()
        loaded = builder.as_dataset(split=settings.train)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        expected = f"split {settings.train!r} of {location} at {settings.revision}, from the hub or its cache"
        raise InstructionError(where, "location", said, expected) from None
    # Without a network `datasets` takes the newest commit of its cache, whatever was asked for.
    found = str(builder.hash)
    if _COMMIT.fullmatch(found) and found != settings.revision:
        raise InstructionError(where, "revision", found, f"commit {settings.revision}")
    return ((f"{location}/{settings.train} row {number}", row) for number, row in enumerate(loaded, start=1))
