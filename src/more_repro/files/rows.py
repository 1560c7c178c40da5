"""Rows of a file or of a hub's split before their format is known, and the one error for input that no rule covers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class InputError(ValueError):
    """Input that no rule covers; the message says where, in which field, what was found and what was expected."""

    def __init__(self, where: str, field: str, found: object, expected: str) -> None:
        shown = repr(found)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        super().__init__(f"{where}: field {field!r}: found {shown}, expected {expected}")
        self.where, self.field, self.found, self.expected = where, field, found, expected

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, object, str]]:
        """As a worker process hands it over: an exception is otherwise made again from its message alone."""
        return InputError, (self.where, self.field, self.found, self.expected)


Row = tuple[str, "dict[str, Any] | InputError"]  # where it stands; the row, or why it cannot be read


class Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RawRows:
    """The rows of one file or hub split, before a format is known, and what the audit says about where they are from.

    hasher: sha256 of the content; complete when all rows are taken. revision: of a hub set, else "".
    """

    file: str
    container: str
    rows: Iterator[Row]
    n_bytes: int
    hasher: Hasher
    revision: str
