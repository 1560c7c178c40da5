"""OpenAI's summarize_from_feedback, configuration comparisons: a post, two summaries, and the better one's number."""

from typing import Any, Literal

from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, SourceError, list_field, map_field, question, text_field
from more_repro.params import Data, Source


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """One pair for each row."""
    rows = Rows(name)
    for where, row in raw_rows(name, source, data, split):
        add_row(rows, row, where)
    return rows


def add_row(rows: Rows, row: dict[str, Any], where: str) -> None:
    """The comparison of one raw row: summaries[choice] is chosen."""
    summaries = list_field(row, "summaries", where, at_least=2)
    choice = row.get("choice")
    if isinstance(choice, bool) or choice not in (0, 1) or len(summaries) != 2:
        raise SourceError(where, "choice", choice, "0 or 1, with two summaries")
    for summary in summaries:
        if not isinstance(summary, dict):
            raise SourceError(where, "summaries", summary, "an object")
    chosen, rejected = (text_field(summaries[number], "text", where) for number in (choice, 1 - choice))
    rows.add(question(post_text(map_field(row, "info", where), where)), chosen, rejected)


def post_text(info: dict[str, Any], where: str) -> str:
    """The post with its forum and title, or a news article where there is no post."""
    body = info.get("post") or info.get("article")
    if not isinstance(body, str):
        raise SourceError(where, "info.post", body, "text, in post or in article")
    lines = [
        f"{label}: {value}"
        for label, value in (("SUBREDDIT", info.get("subreddit")), ("TITLE", info.get("title")), ("POST", body))
        if value
    ]
    return "\n".join([*lines, "TL;DR:"])
