"""Sources of preference pairs: what a reader is, what readers share, and one file per reader in `readers`."""

import functools
from collections.abc import Collection

from more_repro.data.sources.reader import PairMaker, RowReader
from more_repro.registry import Registry

READERS = Registry("more_repro.data.sources.readers", "reader")


@functools.cache
def find_reader(name: str) -> type[RowReader] | type[PairMaker]:
    """The class `Reader` of a reader's module. Raises UnknownNameError."""
    found: type[RowReader] | type[PairMaker] = READERS.load(name).Reader
    return found


def pair_maker(reader: str) -> type[PairMaker] | None:
    """The reader of that name in params, if it makes its pairs itself; None for one of rows, and for `auto`."""
    found = None if reader == "auto" else find_reader(reader)
    return found if found is not None and issubclass(found, PairMaker) else None


@functools.cache
def row_readers() -> dict[str, type[RowReader]]:
    """The readers of raw rows by name: those whose format can be told from a row."""
    found = {name: find_reader(name) for name in READERS.names()}
    return {name: reader for name, reader in found.items() if issubclass(reader, RowReader)}


def columns_of_json(header: Collection[str]) -> frozenset[str]:
    """The columns that hold JSON where the cells are text, as in CSV, by the formats that this header may belong to."""
    readers = row_readers().values()
    return frozenset().union(*(reader.json_columns for reader in readers if reader.keys <= set(header)))
