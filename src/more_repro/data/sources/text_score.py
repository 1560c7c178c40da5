"""Text-score files: [{"text": [transcript, ...], "score": [number, ...]}], the highest score is the best."""

from itertools import combinations
from typing import Any, Literal

from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, SourceError, as_number, list_field
from more_repro.data.transcripts import add_transcripts
from more_repro.params import Data, Source


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """Every two texts of a row with different scores make a pair; equal scores are counted as `tie`."""
    rows = Rows(name)
    for where, row in raw_rows(name, source, data, split):
        add_row(rows, row, where)
    return rows


def add_row(rows: Rows, row: dict[str, Any], where: str) -> None:
    """The comparisons of one raw row."""
    texts = list_field(row, "text", where, at_least=2)
    scores = [as_number(value, "score", where) for value in list_field(row, "score", where, at_least=2)]
    if len(texts) != len(scores):
        raise SourceError(where, "score", scores, f"{len(texts)} numbers, one for each text")
    for text in texts:
        if not isinstance(text, str):
            raise SourceError(where, "text", text, "text")
    for a, b in combinations(range(len(texts)), 2):
        if scores[a] == scores[b]:
            rows.drop("tie")
        else:
            chosen, rejected = (a, b) if scores[a] > scores[b] else (b, a)
            add_transcripts(rows, texts[chosen], texts[rejected], where)
