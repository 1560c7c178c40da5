"""Anthropic's HH: {"chosen": transcript, "rejected": transcript}, on the hub or as local JSON Lines."""

from typing import Any

from more_repro.data.sources.pair_collector import margin_field, text_field
from more_repro.data.sources.reader import RowReader
from more_repro.data.sources.transcripts import add_transcripts, looks_like_transcript


class Reader(RowReader):
    """One pair for each row; on the hub, `subset` is the folder (helpful-base, harmless-base).

    A `margin`, a number or null, is kept.
    """

    needs = "chosen and rejected, two transcripts '\\n\\nHuman: ..\\n\\nAssistant: ..'"
    keys = frozenset({"chosen", "rejected"})
    json_columns = frozenset({"margin"})

    @classmethod
    def fits(cls, row: dict[str, Any]) -> bool:
        sides = (row.get("chosen"), row.get("rejected"))
        return row.get("prompt") is None and all(isinstance(x, str) and looks_like_transcript(x) for x in sides)

    def add(self, row: dict[str, Any], where: str) -> None:
        chosen, rejected = text_field(row, "chosen", where), text_field(row, "rejected", where)
        add_transcripts(self.rows, chosen, rejected, where, margin_field(row, where))

    def form(self) -> str:
        return "HH transcripts"
