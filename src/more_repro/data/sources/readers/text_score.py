"""Text-score files: [{"text": [transcript, ...], "score": [number, ...]}], the highest score is the best."""

from itertools import combinations
from typing import Any

from more_repro.data.sources.pair_collector import Rows, as_number, list_field
from more_repro.data.sources.reader import How, RowReader, span
from more_repro.data.sources.transcripts import add_dialogues, parse_transcript
from more_repro.files.rows import InputError


class Reader(RowReader):
    """Every two texts of a row with different scores make a pair, or (top_two) only the two with the best scores.

    Equal scores are counted as `tie`.
    """

    needs = "text and score, two lists of the same length: transcripts, and numbers"
    keys = frozenset({"text", "score"})
    json_columns = keys

    def __init__(self, rows: Rows, how: How) -> None:
        super().__init__(rows, how)
        self._numbers = set[int]()

    def add(self, row: dict[str, Any], where: str) -> None:
        texts = list_field(row, "text", where, at_least=2)
        scores = [as_number(value, "score", where) for value in list_field(row, "score", where, at_least=2)]
        if len(texts) != len(scores):
            raise InputError(where, "score", scores, f"{len(texts)} numbers, one for each text")
        for text in texts:
            if not isinstance(text, str):
                raise InputError(where, "text", text, "text")
        dialogues = [parse_transcript(text, where) for text in texts]
        self._numbers.add(len(texts))
        order = sorted(range(len(texts)), key=lambda number: -scores[number])  # stable: equals stay in their order
        for better, worse in combinations(order if self.how.ranked == "all" else order[:2], 2):
            if scores[better] == scores[worse]:
                self.rows.drop("tie", where=where, texts=("", texts[better], texts[worse]))
            else:
                add_dialogues(self.rows, dialogues[better], dialogues[worse], where, scores[better] - scores[worse])

    def form(self) -> str:
        return f"text-score, {span(min(self._numbers, default=0), max(self._numbers, default=0))} texts a row"
