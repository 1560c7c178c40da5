"""Queries answered in several styles: [{"query", "responses": {domain: text}}]; `subset` is the preferred domain."""

from typing import Any, Literal

from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, SourceError, map_field, question, text_field
from more_repro.params import Data, Source


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """The preferred domain's response is chosen against each other domain's, so a query makes several pairs."""
    if source.subset is None:
        raise SourceError(f"params sources.{name}", "subset", None, "the name of the preferred domain")
    rows = Rows(name)
    for where, row in raw_rows(name, source, data, split):
        add_row(rows, row, source.subset, where)
    return rows


def add_row(rows: Rows, row: dict[str, Any], domain: str, where: str) -> None:
    """The comparisons of one query."""
    prompt = question(text_field(row, "query", where))
    responses = map_field(row, "responses", where)
    if domain not in responses or len(responses) < 2:
        raise SourceError(where, "responses", sorted(responses), f"domain {domain!r} and at least one other")
    chosen = text_field(responses, domain, where)
    for other in sorted(responses):
        if other != domain:
            rows.add(prompt, chosen, text_field(responses, other, where))
