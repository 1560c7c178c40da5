"""OpenAI's summarize_from_feedback, configuration comparisons: a post, two summaries, and the better one's number."""

from typing import Any

from more_repro.data.sources.pair_collector import list_field, map_field, question, text_field
from more_repro.data.sources.reader import RowReader
from more_repro.files.rows import InputError


class Reader(RowReader):
    """One pair for each row: summaries[choice] is chosen."""

    needs = "info {post or article}, summaries (two of {text}) and choice (0 or 1)"
    keys = frozenset({"info", "summaries", "choice"})
    json_columns = keys

    def add(self, row: dict[str, Any], where: str) -> None:
        summaries = list_field(row, "summaries", where, at_least=2)
        choice = row.get("choice")
        if isinstance(choice, bool) or choice not in (0, 1) or len(summaries) != 2:
            raise InputError(where, "choice", choice, "0 or 1, with two summaries")
        choice = int(choice)  # 1.0 where pandas wrote it
        for summary in summaries:
            if not isinstance(summary, dict):
                raise InputError(where, "summaries", summary, "an object")
        chosen, rejected = (text_field(summaries[number], "text", where) for number in (choice, 1 - choice))
        self.rows.add(question(post_text(map_field(row, "info", where), where)), chosen, rejected, where)

    def form(self) -> str:
        return "summarize_from_feedback comparisons"


def post_text(info: dict[str, Any], where: str) -> str:
    """The post with its forum and title, or a news article where there is no post."""
    body = info.get("post") or info.get("article")
    if not isinstance(body, str):
        raise InputError(where, "info.post", body, "text, in post or in article")
    lines = [
        f"{label}: {value}"
        for label, value in (("SUBREDDIT", info.get("subreddit")), ("TITLE", info.get("title")), ("POST", body))
        if value
    ]
    return "\n".join([*lines, "TL;DR:"])
