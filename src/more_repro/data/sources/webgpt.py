"""OpenAI's WebGPT comparisons: question.full_text, answer_0 / answer_1, score_0 / score_1."""

from typing import Any, Literal

from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, map_field, number_field, question, text_field
from more_repro.params import Data, Source


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """One pair for each row with different scores; equal scores are counted as `tie`."""
    rows = Rows(name)
    for where, row in raw_rows(name, source, data, split):
        add_row(rows, row, where)
    return rows


def add_row(rows: Rows, row: dict[str, Any], where: str) -> None:
    """The comparison of one raw row: the higher score is chosen."""
    prompt = question(text_field(map_field(row, "question", where), "full_text", where))
    first, second = text_field(row, "answer_0", where), text_field(row, "answer_1", where)
    gap = number_field(row, "score_0", where) - number_field(row, "score_1", where)
    if gap == 0:
        rows.drop("tie")
    else:
        rows.add(prompt, *((first, second) if gap > 0 else (second, first)))
