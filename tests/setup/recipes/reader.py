"""Forum answers with votes: {"question", "answers": [text, text], "votes": [number, number]}."""

from typing import Any

from more_repro.data.sources.pair_collector import as_number, list_field, question, text_field
from more_repro.data.sources.reader import RowReader
from more_repro.files.rows import InputError


class Reader(RowReader):
    """One pair for each row: the answer with more votes is chosen; equal votes are counted as `tie`."""

    needs = "question, answers and votes, two of each"
    keys = frozenset({"question", "answers", "votes"})
    json_columns = frozenset({"answers", "votes"})

    def add(self, row: dict[str, Any], where: str) -> None:
        answers = list_field(row, "answers", where, at_least=2)
        votes = [as_number(value, "votes", where) for value in list_field(row, "votes", where, at_least=2)]
        if len(answers) != 2 or len(votes) != 2:
            raise InputError(where, "answers", len(answers), "two answers with two votes")
        prompt = question(text_field(row, "question", where))
        if votes[0] == votes[1]:
            self.rows.drop("tie", where=where, texts=(prompt, *answers))
        else:
            better, worse = answers if votes[0] > votes[1] else answers[::-1]
            self.rows.add(prompt, better, worse, where, abs(votes[0] - votes[1]))

    def form(self) -> str:
        return "forum answers with votes"
