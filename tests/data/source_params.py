"""Sections of params.yaml that tests of the readers share."""

from more_repro.params import Data, Source


def a_source(reader="auto", **values):
    empty = {"location": None, "revision": None, "subset": None, "train": None, "test": None, "licence": None}
    return Source(reader=reader, **(empty | values))


def some_data(folder="own", **values):
    numbers = {"seed": 1, "train_pairs": 40, "validation_pairs": 10, "test_pairs": 20, "pairs_per_source": 32}
    numbers |= {"corpus_texts": 30, "drift": 1.0, "ranked": "all", "unreadable_rows": 0}
    return Data(**({"folder": str(folder)} | numbers | values))
