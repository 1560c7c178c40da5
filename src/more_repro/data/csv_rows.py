"""CSV, read strictly: one header, as many cells in every row, and JSON in the cells of columns that hold no text."""

import csv
import io
from collections.abc import Collection, Iterator
from typing import Any

from more_repro.data.json_rows import StrictJson, decoded
from more_repro.data.rows import Row, SourceError
from more_repro.data.sources import columns_of_json

_MESSAGES = frozenset({"prompt", "chosen", "rejected"})  # text, or messages as a JSON list
_WORDS: dict[str, bool | None] = {"": None, "True": True, "False": False}  # as pandas writes them


def read_csv(data: bytes, path: str) -> Iterator[Row]:
    """A row of named cells for each line after the header. Broken quotes stop the reading."""
    decoded(data, path)  # for the place of a fault alone: a StringIO would hold four bytes for each character
    csv.field_size_limit(max(csv.field_size_limit(), len(data)))  # the default refuses long transcripts
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=""), strict=True)
    strict = StrictJson()
    header: list[str] = []
    try:
        header = next(lines, [])
        _check_header(header, path)
        columns = columns_of_json(header)
        first = lines.line_num + 1
        for cells in lines:
            where, first = f"{path}:{first}", lines.line_num + 1
            yield where, _row(header, cells, columns, strict, where)
    except csv.Error as error:
        raise SourceError(f"{path}:{lines.line_num}", "CSV", str(error), "cells with closed quotes") from None


def looks_like_header(line: str) -> bool:
    """Whether a line may be the header of a CSV file: two or more different names."""
    try:
        names = next(csv.reader([line], strict=True), [])
    except csv.Error:
        return False
    return len(names) > 1 and len(set(names)) == len(names) and all(name.isidentifier() for name in names)


def _check_header(header: list[str], path: str) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated or not all(name.strip() for name in header):
        raise SourceError(f"{path}:1", "header", repeated or header, "different names of columns")


def _row(
    header: list[str], cells: list[str], columns: Collection[str], strict: StrictJson, where: str
) -> dict[str, Any] | SourceError:
    if len(cells) != len(header):
        return SourceError(where, "row", f"{len(cells)} cells", f"{len(header)} cells, as in the header")
    try:
        return {
            name: _parsed(cell, name, strict, where) if name in columns else _messages(cell, name, strict, where)
            for name, cell in zip(header, cells, strict=True)
        }
    except SourceError as error:
        return error


def _parsed(cell: str, name: str, strict: StrictJson, where: str) -> Any:
    if cell in _WORDS:
        return _WORDS[cell]
    try:
        return strict.value(cell, where)
    except SourceError as error:
        raise SourceError(where, name, cell, f"JSON: {error.expected}") from None


def _messages(cell: str, name: str, strict: StrictJson, where: str) -> Any:
    if name not in _MESSAGES or not cell.lstrip().startswith("["):
        return cell
    try:
        value = strict.value(cell, where)
    except SourceError:
        return cell  # a text that begins with a bracket
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else cell
