"""OpenAI's WebGPT comparisons: question.full_text, answer_0 / answer_1, score_0 / score_1."""

from typing import Any

from more_repro.data.sources.pair_collector import map_field, number_field, question, text_field
from more_repro.data.sources.reader import RowReader


class Reader(RowReader):
    """One pair for each row with different scores; equal scores are counted as `tie`."""

    needs = "question {full_text}, answer_0, answer_1, score_0 and score_1"
    keys = frozenset({"question", "answer_0", "answer_1", "score_0", "score_1"})
    json_columns = frozenset({"question", "score_0", "score_1"})

    def add(self, row: dict[str, Any], where: str) -> None:
        """The comparison of one raw row: the higher score is chosen."""
        prompt = question(text_field(map_field(row, "question", where), "full_text", where))
        first, second = text_field(row, "answer_0", where), text_field(row, "answer_1", where)
        gap = number_field(row, "score_0", where) - number_field(row, "score_1", where)
        if gap == 0:
            self.rows.drop("tie", where=where, texts=(prompt, first, second))
        else:
            self.rows.add(prompt, *((first, second) if gap > 0 else (second, first)), where, abs(gap))

    def form(self) -> str:
        return "WebGPT comparisons"
