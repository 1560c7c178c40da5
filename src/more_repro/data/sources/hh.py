"""Anthropic's HH: {"chosen": transcript, "rejected": transcript}, on the hub or as local JSON Lines."""

from typing import Any, Literal

from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, text_field
from more_repro.data.transcripts import add_transcripts
from more_repro.params import Data, Source


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """One pair for each row; `subset` is the hub folder (helpful-base, harmless-base)."""
    rows = Rows(name)
    for where, row in raw_rows(name, source, data, split):
        add_row(rows, row, where)
    return rows


def add_row(rows: Rows, row: dict[str, Any], where: str) -> None:
    """The comparison of one raw row."""
    add_transcripts(rows, text_field(row, "chosen", where), text_field(row, "rejected", where), where)
