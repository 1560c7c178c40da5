"""The embedded world as a source: pairs are made, not read. `subset` names the world's source if `name` does not."""

from dataclasses import replace

from more_repro.data.sources.pair_collector import Rows
from more_repro.data.sources.reader import PairMaker
from more_repro.files.rows import InputError
from more_repro.params import Data, Source
from more_repro.records import Split
from more_repro.stats.random import stream
from more_repro.world import grammar
from more_repro.world.oracle import SOURCES


class Reader(PairMaker):
    """Each split comes from a stream of its own."""

    origin = "embedded world"

    @classmethod
    def make(cls, name: str, source: Source, data: Data, split: Split) -> Rows:
        test_pairs = source.test_pairs or data.test_pairs
        asked = {"train": data.train_pairs, "validation": data.validation_pairs, "test": test_pairs}[split]
        if asked is None:
            raise InputError(f"params data.{split}_pairs", f"{split}_pairs", None, "a number: the world has no end")
        rng = stream(data.seed, "embedded", name, split)
        pairs = grammar.make_pairs(_world_source(name, source), asked, split, data.drift, rng)
        return Rows(name, [replace(pair, source=name) for pair in pairs])


def _world_source(name: str, source: Source) -> str:
    """The name that the embedded world knows this source by."""
    known = source.subset or name
    if known not in SOURCES:
        raise InputError(f"params sources.{name}", "subset", known, f"one of {', '.join(SOURCES)}")
    return known
