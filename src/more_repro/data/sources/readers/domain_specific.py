"""Queries answered in several styles: [{"query", "responses": {domain: text}}]; `subset` is the preferred domain."""

from typing import Any

from more_repro.data.sources.pair_collector import Rows, map_field, question, text_field
from more_repro.data.sources.reader import How, RowReader, span
from more_repro.files.rows import InputError


class Reader(RowReader):
    """The preferred domain's response is chosen against each other domain's, so a query makes several pairs."""

    needs = "query and responses {domain: text}, with `subset` naming the preferred domain"
    keys = frozenset({"query", "responses"})
    json_columns = frozenset({"responses"})
    subset_is_folder = False  # it is a domain

    def __init__(self, rows: Rows, how: How) -> None:
        super().__init__(rows, how)
        if how.subset is None:
            raise InputError(f"params sources.{rows.source}", "subset", None, "the name of the preferred domain")
        self._domain, self._numbers = how.subset, set[int]()

    def add(self, row: dict[str, Any], where: str) -> None:
        prompt = question(text_field(row, "query", where))
        # A domain that a row of a Parquet file lacks is there with nothing in it.
        given = {domain: text for domain, text in map_field(row, "responses", where).items() if text is not None}
        if self._domain not in given or len(given) < 2:
            raise InputError(where, "responses", sorted(given), f"domain {self._domain!r} and at least one other")
        texts = {domain: text_field(given, domain, where) for domain in sorted(given)}
        self._numbers.add(len(texts))
        chosen = texts.pop(self._domain)
        for other in texts.values():
            self.rows.add(prompt, chosen, other, where)

    def form(self) -> str:
        numbers = span(min(self._numbers, default=0), max(self._numbers, default=0))
        return f"domain-specific, {numbers} responses a row, {self._domain} preferred"
