"""Rows of instruction, input and output as Alpaca's data set has them: from the hub at one commit, or a local file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from more_repro.alignment.policies.texts import Text
from more_repro.files import hub
from more_repro.files.local_files import open_file
from more_repro.files.local_path import local_path
from more_repro.files.rows import InputError, RawRows
from more_repro.params import Instructions
from more_repro.records import Message, prompt_json

_KEY = "align.instructions"


@dataclass(frozen=True, slots=True)
class InstructionRows:
    """texts: to be fine-tuned on. n_rows: that were read. n_empty: left out, without an output or an instruction."""

    texts: tuple[Text, ...]
    n_rows: int
    n_empty: int


def read_instructions(settings: Instructions, folder: Path) -> InstructionRows:
    """Every row as one message of the user (instruction, blank line, input) and the response.

    folder: where local files lie; what they hold tells their container.
    Raises InputError at the first row that breaks the format, and where no row is left.
    """
    raw = _raw_rows(settings, folder)
    texts, n_rows = [], 0
    for where, row in raw.rows:
        n_rows += 1
        if isinstance(row, InputError):
            raise row
        text = _text(where, row)
        if text is not None:
            texts.append(text)
    if not texts:
        raise InputError(f"{settings.location or folder}/{settings.train}", "rows", n_rows, "one with an output")
    return InstructionRows(tuple(texts), n_rows, n_rows - len(texts))


def _raw_rows(settings: Instructions, folder: Path) -> RawRows:
    if settings.location is not None:
        return hub.open_split(settings.location, settings.train, settings.revision, _KEY)
    return open_file(local_path(folder, settings.train, f"{_KEY}.train"), settings.train)


def _text(where: str, row: dict[str, Any]) -> Text | None:
    instruction, output = (_field(where, row, name) for name in ("instruction", "output"))
    given = _field(where, row, "input") if row.get("input") is not None else ""
    message = "\n\n".join(part for part in (instruction, given) if part)
    if not message or not output:
        return None
    return Text(prompt_json((Message("user", message),)), output)


def _field(where: str, row: dict[str, Any], name: str) -> str:
    value = row.get(name, "nothing")
    if name not in row or not isinstance(value, str):
        raise InputError(where, name, value, "text")
    return value.strip()
