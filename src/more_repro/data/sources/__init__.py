"""Readers of preference data sets: one module each, with a class Reader that makes pairs of raw rows.

A new one is a new file, its line in READERS, and its name in params. The embedded world makes its pairs itself.
"""

import functools
import importlib
from collections.abc import Collection

from more_repro.data.sources.reader import RowReader

READERS: dict[str, str] = {
    "text_score": "more_repro.data.sources.text_score",
    "trl": "more_repro.data.sources.trl",
    "domain_specific": "more_repro.data.sources.domain_specific",
    "hh": "more_repro.data.sources.hh",
    "oasst1": "more_repro.data.sources.oasst1",
    "webgpt": "more_repro.data.sources.webgpt",
    "summarize": "more_repro.data.sources.summarize",
}


@functools.cache
def find_reader(reader: str) -> type[RowReader]:
    """The class `Reader` of a reader's module."""
    found: type[RowReader] = importlib.import_module(READERS[reader]).Reader
    return found


def columns_of_json(header: Collection[str]) -> frozenset[str]:
    """The columns that hold JSON where the cells are text, as in CSV, by the formats that this header may belong to."""
    readers = [find_reader(name) for name in READERS]
    return frozenset().union(*(reader.json_columns for reader in readers if reader.keys <= set(header)))
