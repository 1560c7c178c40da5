"""Which format a file's rows have, told from their keys."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from more_repro.data.sources import row_readers
from more_repro.files.rows import InputError, Row

HEAD = 20  # rows that are looked at


def candidates(row: dict[str, Any]) -> tuple[str, ...]:
    """The readers whose format a row looks like."""
    return tuple(name for name, reader in row_readers().items() if reader.fits(row))


def detect(head: Sequence[Row], where: str) -> str:
    """The reader of the first rows: the one that most of them fit; rows of another format fail later, one by one.

    Raises InputError that says what every format needs, where a row fits no format or several.
    """
    rows = [(place, row, candidates(row)) for place, row in head if isinstance(row, dict)]
    found = Counter(names for _, _, names in rows)
    if not found:
        raise next((row for _, row in head if isinstance(row, InputError)), InputError(where, "rows", 0, "a row"))
    names = found.most_common(1)[0][0]
    if len(names) != 1:
        place, keys = next((place, list(row)) for place, row, fits in rows if fits == names)
        shown = f"keys {', '.join(keys) or '(none)'}"
        shown += f", which fit {' and '.join(names)}" if names else ""
        needs = "; ".join(f"{name}: {reader.needs}" for name, reader in row_readers().items())
        raise InputError(place, "format", shown, f"rows of one known format. {needs}")
    return names[0]


def mixed(row: Row, reader: str) -> InputError | None:
    """The error of a row that lacks the keys of its file's format and has those of another; None for any other row."""
    where, content = row
    if not isinstance(content, dict) or row_readers()[reader].keys <= content.keys():
        return None
    names = candidates(content)
    if not names or reader in names:
        return None
    return InputError(where, "format", " or ".join(names), f"{reader}, as the other rows or the params say")
