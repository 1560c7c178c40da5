"""JSON and JSON Lines, read strictly: a key given twice, NaN and half a character are faults, never values."""

import json
import re
from collections.abc import Iterator
from typing import Any

from more_repro.data.rows import Row, SourceError

_BLANK = re.compile(r"[ \t\n\r]*")
_CONTENT = 40  # characters shown of what could not be read


class StrictJson:
    """A decoder that goes on after a fault of a value, so that the rows behind it can still be read."""

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=self._constant)
        self._fault: tuple[str, str, str] | None = None

    def value(self, text: str, where: str) -> Any:
        """The one value that a text holds. Raises SourceError, with the column where the JSON itself is broken."""
        try:
            value, end = self.scan(text, _BLANK.match(text).end(), where)  # type: ignore[union-attr]  # matches ""
        except json.JSONDecodeError as error:
            raise _broken(text, error.pos, f"{where}:{error.pos + 1}", error.msg) from None
        end = _BLANK.match(text, end).end()  # type: ignore[union-attr]
        if end != len(text):
            raise _broken(text, end, f"{where}:{end + 1}", "the end of the line")
        if isinstance(value, SourceError):
            raise value
        return value

    def scan(self, text: str, start: int, where: str) -> tuple[Any, int]:
        """The value that begins at `start`, or the SourceError of its fault, and where it ends.

        Raises JSONDecodeError where there is no whole value, SourceError where it is nested too deep to read.
        """
        self._fault = None
        try:
            value, end = self._decoder.raw_decode(text, start)
        except RecursionError:
            raise SourceError(where, "JSON", text[start : start + _CONTENT], "objects not nested so deep") from None
        except json.JSONDecodeError:
            raise
        except ValueError as error:  # a number of thousands of digits
            raise SourceError(where, "JSON", text[start : start + _CONTENT], str(error)) from None
        if self._fault is None and (text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0):
            self._fault = _half_character(value)
        return (value if self._fault is None else SourceError(where, *self._fault)), end

    def _object(self, items: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(items)
        if len(row) != len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            self._fault = (twice, twice, "each key once")
        return row

    def _constant(self, name: str) -> float:
        self._fault = ("number", name, "a finite number")
        return float("nan")


def read_lines(data: bytes, path: str) -> Iterator[Row]:
    """An object on each line."""
    strict = StrictJson()
    for number, line in enumerate(data.splitlines(), start=1):
        where = f"{path}:{number}"
        text = decoded(line, path, first_line=number)
        try:
            yield where, as_object(strict.value(text, where), where)
        except SourceError as error:
            yield where, error


def read_list(data: bytes, path: str) -> Iterator[Row]:
    """A list of objects, one at a time. Broken JSON stops the reading: where the next row begins is then unknown."""
    text, strict = decoded(data, path), StrictJson()
    position = _after(text, 0, "[", path, 1)
    number = 0
    while not (number == 0 and text.startswith("]", position)):
        number += 1
        where = f"{path} row {number}"
        try:
            value, end = strict.scan(text, position, where)
        except json.JSONDecodeError as error:
            raise _broken(text, error.pos, _place(text, error.pos, path, number), error.msg) from None
        yield where, as_object(value, where)
        end = _BLANK.match(text, end).end()  # type: ignore[union-attr]
        if text.startswith("]", end):
            position = end
            break
        position = _after(text, end, ",", path, number)
    rest = _BLANK.match(text, position + 1).end()  # type: ignore[union-attr]
    if rest != len(text):
        raise _broken(text, rest, _place(text, rest, path, number), "the end of the file")


def as_object(value: object, where: str) -> dict[str, Any] | SourceError:
    """A row, or the fault that it is none."""
    return value if isinstance(value, (dict, SourceError)) else SourceError(where, "row", value, "an object")


def decoded(data: bytes, path: str, first_line: int = 1) -> str:
    """UTF-8 text. Raises SourceError with the line of the first byte that is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise SourceError(f"{path}:{line}", "bytes", data[error.start : error.end], "UTF-8 text") from None


def _after(text: str, position: int, mark: str, path: str, row: int) -> int:
    """The first character that is not blank after `mark`, which must come next."""
    position = _BLANK.match(text, position).end()  # type: ignore[union-attr]
    if not text.startswith(mark, position):
        raise _broken(text, position, _place(text, position, path, row), f"{mark!r} or the end of the list")
    return _BLANK.match(text, position + 1).end()  # type: ignore[union-attr]


def _place(text: str, position: int, path: str, row: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{path}:{line}:{position - text.rfind(chr(10), 0, position)} row {row}"


def _broken(text: str, position: int, where: str, expected: str) -> SourceError:
    return SourceError(where, "JSON", text[position : position + _CONTENT] or "the end", expected)


def _half_character(value: object) -> tuple[str, str, str] | None:
    """The fault of half a surrogate pair: valid JSON, and no text."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        return "JSON", str(error.object[error.start : error.end]), "whole characters"
    return None
