"""CSV, read strictly: one header, as many cells in every row, and JSON in the cells of columns that hold no text."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from more_repro.files.json_rows import StrictJson, is_utf8, stray_bytes
from more_repro.files.rows import InputError, Row

JsonColumns = Callable[[Collection[str]], Collection[str]]  # names of a header -> those whose cells hold JSON

_MESSAGES = frozenset({"prompt", "chosen", "rejected"})  # text, or messages as a JSON list
_MESSAGES_START = re.compile(r"\s*\[\s*\{")
_OTHER_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "bars"}
_WORDS: dict[str, bool | None] = {"": None, "True": True, "False": False}  # as pandas writes them


def no_columns(header: Collection[str]) -> Collection[str]:
    """Of a format whose cells all hold text."""
    return ()


def read_csv(data: bytes, path: str, json_columns: JsonColumns = no_columns) -> Iterator[Row]:
    """A row of named cells for each line after the header that is not blank. Broken quotes stop the reading."""
    has_strays = not is_utf8(data)
    csv.field_size_limit(max(csv.field_size_limit(), len(data)))  # the default refuses long transcripts
    lines = csv.reader(
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape", newline=""), strict=True
    )
    strict, first = StrictJson(), 1
    try:
        header = next((cells for cells in lines if not _is_blank(cells)), [])
        _check_header(header, f"{path}:{max(1, lines.line_num)}")
        columns = json_columns(header)
        first = lines.line_num + 1
        for cells in lines:
            where, first = f"{path}:{first}", lines.line_num + 1
            if _is_blank(cells) and len(cells) != len(header):
                continue
            stray = stray_bytes("".join(cells)) if has_strays else None
            yield (
                where,
                InputError(where, "bytes", stray, "UTF-8 text")
                if stray
                else _row(header, cells, columns, strict, where),
            )
    except csv.Error as error:
        expected = f"cells with closed quotes; this row was read on to line {lines.line_num}"
        raise InputError(f"{path}:{first}", "CSV", str(error), expected) from None


def check_delimiter(line: str, where: str) -> None:
    """Raises InputError where a line is a header, but with another delimiter than commas."""
    for delimiter, name in _OTHER_DELIMITERS.items():
        if looks_like_header(line, delimiter):
            raise InputError(where, "header", line, f"names with commas between them, as between all cells; not {name}")


def looks_like_header(line: str, delimiter: str = ",") -> bool:
    """Whether a line may be the header of a CSV file: two or more different names."""
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return False
    return len(names) > 1 and len(set(names)) == len(names) and all(name.isidentifier() for name in names)


def _check_header(header: list[str], where: str) -> None:
    if stray := stray_bytes("".join(header)):
        raise InputError(where, "bytes", stray, "UTF-8 text")
    if len(header) == 1:
        check_delimiter(header[0], where)
    empty = [number for number, name in enumerate(header, start=1) if not name.strip()]
    if empty:
        raise InputError(where, "header", header, f"a name for every column; the name of column {empty[0]} is empty")
    repeated = sorted(name for name, count in Counter(header).items() if count > 1)
    if repeated:
        raise InputError(where, "header", repeated, "different names of columns")


def _is_blank(cells: list[str]) -> bool:
    """Whether a line holds nothing: it is then no row."""
    return not cells or (len(cells) == 1 and not cells[0].strip())


def _row(
    header: list[str], cells: list[str], columns: Collection[str], strict: StrictJson, where: str
) -> dict[str, Any] | InputError:
    if len(cells) != len(header):
        return InputError(where, "row", f"{len(cells)} cells", f"{len(header)} cells, as in the header")
    try:
        return {
            name: _parsed(cell, name, strict, where) if name in columns else _messages(cell, name, strict, where)
            for name, cell in zip(header, cells, strict=True)
        }
    except InputError as error:
        return error


def _parsed(cell: str, name: str, strict: StrictJson, where: str) -> Any:
    if cell in _WORDS:
        return _WORDS[cell]
    try:
        return strict.value(cell, where)
    except InputError as error:
        raise InputError(where, name, cell, f"JSON: {error.expected}") from None


def _messages(cell: str, name: str, strict: StrictJson, where: str) -> Any:
    if name == "prompt" and not cell:
        return None  # as JSON's null: no prompt of its own
    if name not in _MESSAGES or not cell.lstrip().startswith("["):
        return cell
    try:
        value = strict.value(cell, where)
    except InputError as error:
        if _MESSAGES_START.match(cell):  # such as Python's repr, which pandas writes
            raise InputError(where, name, cell, f"messages as JSON; {error.expected}") from None
        return cell  # a text that begins with a bracket
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else cell
