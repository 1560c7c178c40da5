"""Readers of preference data sets: one module each, imported when a study names it.

A reader is `read(name, source, data, split) -> Rows`. A new one is a new file, its line here, and its name in params.
"""

import importlib
from typing import Literal, Protocol

from more_repro.data.rows import Rows
from more_repro.params import Data, Source

READERS: dict[str, str] = {
    "embedded": "more_repro.data.sources.embedded",
    "text_score": "more_repro.data.sources.text_score",
    "trl": "more_repro.data.sources.trl",
    "domain_specific": "more_repro.data.sources.domain_specific",
    "hh": "more_repro.data.sources.hh",
    "oasst1": "more_repro.data.sources.oasst1",
    "webgpt": "more_repro.data.sources.webgpt",
    "summarize": "more_repro.data.sources.summarize",
}


class Reader(Protocol):
    def __call__(self, name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows: ...


def find_reader(reader: str) -> Reader:
    """The `read` function of a reader's module."""
    read: Reader = importlib.import_module(READERS[reader]).read
    return read
