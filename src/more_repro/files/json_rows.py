"""JSON and JSON Lines, read strictly: a key given twice, NaN and half a character are faults, never values."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from more_repro.files.rows import InputError, Row

_BLANK = re.compile(r"[ \t\n\r]*")
_CONTENT = 40  # characters shown of what could not be read
_STRAY = re.compile("[\udc80-\udcff]+")  # bytes that are no UTF-8, as "surrogateescape" decodes them
_NAN = float("nan")  # known by identity: what stands for NaN and Infinity until their key is known
_EXPECTED = {  # what the decoder says -> what it wanted
    "Expecting value": "a value",
    "Expecting ',' delimiter": "',' or the closing bracket",
    "Expecting ':' delimiter": "':' after the key",
    "Expecting property name enclosed in double quotes": "a key in double quotes",
    "Unterminated string starting at": "a string with its closing quote",
    "Invalid control character at": "\\n, \\t or \\u00.. in place of a control character",
    "Invalid \\escape": "an escape that JSON knows",
    "Invalid \\uXXXX escape": "four hexadecimal digits after \\u",
    "Illegal trailing comma before end of object": "no comma before the closing bracket",
    "Illegal trailing comma before end of array": "no comma before the closing bracket",
}


class StrictJson:
    """A decoder that goes on after a fault of a value, so that the rows behind it can still be read."""

    def __init__(self, has_strays: bool = False) -> None:
        """has_strays: the text was decoded with "surrogateescape", and holds bytes that are no UTF-8."""
        self._has_strays = has_strays
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=self._constant)
        self._fault: tuple[str, object, str] | None = None
        self._nan_of_no_key = False

    def value(self, text: str, where: str) -> Any:
        """The one value that a text holds. Raises InputError, with the column where the JSON itself is broken."""
        try:
            value, end = self.scan(text, _BLANK.match(text).end(), where)  # type: ignore[union-attr]  # matches ""
        except json.JSONDecodeError as error:
            raise _broken(text, error.pos, f"{where}:{error.pos + 1}", error.msg) from None
        end = _BLANK.match(text, end).end()  # type: ignore[union-attr]
        if end != len(text):
            raise _broken(text, end, f"{where}:{end + 1}", "the end of the line")
        if isinstance(value, InputError):
            raise value
        return value

    def scan(self, text: str, start: int, where: str) -> tuple[Any, int]:
        """The value that begins at `start`, or the InputError of its fault, and where it ends.

        Raises JSONDecodeError where there is no whole value, InputError where it is nested too deep to read.
        """
        self._fault, self._nan_of_no_key = None, False
        try:
            value, end = self._decoder.raw_decode(text, start)
        except RecursionError:
            raise InputError(where, "JSON", text[start : start + _CONTENT], "objects not nested so deep") from None
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number of thousands of digits
            raise InputError(where, "JSON", text[start : start + _CONTENT], "numbers of fewer digits") from None
        if self._fault is None and (text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0):
            self._fault = _half_character(value)
        if self._has_strays and (stray := _STRAY.search(text, start, end)):
            self._fault = ("bytes", stray_bytes(stray.group()), "UTF-8 text")
        return (value if self._fault is None else InputError(where, *self._fault)), end

    def _object(self, items: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(items)
        if self._nan_of_no_key and self._fault is not None:
            self._name_nan(row)
        if len(row) != len(items):
            twice = next(key for key, count in Counter(key for key, _ in items).items() if count > 1)
            self._fault, self._nan_of_no_key = (twice, twice, "each key once"), False
        return row

    def _name_nan(self, row: dict[str, Any]) -> None:
        key = next((key for key, value in row.items() if _holds_nan(value)), None)
        if key is not None and self._fault is not None:
            self._fault, self._nan_of_no_key = (key, *self._fault[1:]), False

    def _constant(self, name: str) -> float:
        if self._fault is None:
            self._fault, self._nan_of_no_key = ("number", name, "a finite number"), True
        return _NAN


def read_lines(data: bytes, path: str) -> Iterator[Row]:
    """An object on each line that is not blank."""
    strict = StrictJson()
    for number, line in enumerate(data.splitlines(), start=1):
        if not line or line.isspace():
            continue
        where = f"{path}:{number}"
        try:
            yield where, as_object(strict.value(_decoded(line, where), where), where)
        except InputError as error:
            yield where, error


def read_list(data: bytes, path: str) -> Iterator[Row]:
    """A list of objects, one at a time. Broken JSON stops the reading: where the next row begins is then unknown."""
    has_strays = not is_utf8(data)
    text, strict = data.decode("utf-8", "surrogateescape" if has_strays else "strict"), StrictJson(has_strays)
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


def as_object(value: object, where: str) -> dict[str, Any] | InputError:
    """A row, or the fault that it is none."""
    return value if isinstance(value, (dict, InputError)) else InputError(where, "row", value, "an object")


def is_utf8(data: bytes) -> bool:
    """Whether all bytes are UTF-8 text."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def stray_bytes(text: str) -> bytes | None:
    """The first bytes of a text decoded with "surrogateescape" that are no UTF-8."""
    stray = _STRAY.search(text)
    return None if stray is None else stray.group().encode("utf-8", "surrogateescape")


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(where, "bytes", line[error.start : error.end], "UTF-8 text") from None


def _holds_nan(value: object) -> bool:
    return value is _NAN or (isinstance(value, list) and any(map(_holds_nan, value)))


def _after(text: str, position: int, mark: str, path: str, row: int) -> int:
    """The first character that is not blank after `mark`, which must come next."""
    position = _BLANK.match(text, position).end()  # type: ignore[union-attr]
    if not text.startswith(mark, position):
        raise _broken(text, position, _place(text, position, path, row), f"{mark!r} or the end of the list")
    return _BLANK.match(text, position + 1).end()  # type: ignore[union-attr]


def _place(text: str, position: int, path: str, row: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{path}:{line}:{position - text.rfind(chr(10), 0, position)} row {row}"


def _broken(text: str, position: int, where: str, expected: str) -> InputError:
    found = text[position : position + _CONTENT]
    if stray := stray_bytes(found):
        return InputError(where, "bytes", stray, "UTF-8 text")
    return InputError(where, "JSON", found or "the end", _EXPECTED.get(expected, expected))


def _half_character(value: object) -> tuple[str, object, str] | None:
    """The fault of half a surrogate pair: valid JSON, and no text. Its field is the row's key that holds it."""
    if isinstance(value, dict):
        faults = ((key, _half_character([key, inner])) for key, inner in value.items())
        return next(((key, *fault[1:]) for key, fault in faults if fault is not None), None)
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        return "JSON", "a deep value", "objects not nested so deep"
    except UnicodeEncodeError as error:
        return "JSON", str(error.object[error.start : error.end]), "whole characters"
    return None
