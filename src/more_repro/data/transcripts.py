"""Transcripts of a dialogue: the `Human: ..` turns of HH, and the `## Human:` turns of text-score files."""

import re

from more_repro.data.rows import Rows, SourceError, is_blank
from more_repro.records import Message, Role

_HH = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_HASH = re.compile(r"(?:\A\s*|\n\n)## (Human|Assistant|System):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant", "System": "system"}


def looks_like_transcript(text: str) -> bool:
    """Whether a text begins with a turn's mark."""
    return any(found is not None and found.start() == 0 for found in (_HH.match(text), _HASH.match(text)))


def parse_transcript(text: str, where: str) -> tuple[Message, ...]:
    """The messages of a transcript, neighbours of one role merged, blank messages left out but for the last.

    Real HH rows hold two assistant turns in a row where a text was cut; merged, both transcripts share their prompt.
    Raises SourceError if the text does not begin with a turn's mark.
    """
    marks = _HASH if _HASH.match(text) else _HH
    found = list(marks.finditer(text))
    if not found or found[0].start() != 0:
        raise SourceError(where, "transcript", text[:60], "'\\n\\nHuman: ..' or '## Human:\\n..' turns")
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    turns = [(_ROLES[mark[1]], text[mark.end() : end].strip()) for mark, end in zip(found, ends, strict=True)]
    merged: list[tuple[Role, str]] = []
    for number, (role, content) in enumerate(turns):
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{content}".strip())
        elif not is_blank(content) or number == len(turns) - 1:
            merged.append((role, content))
    return tuple(Message(role, content) for role, content in merged)


def add_transcripts(rows: Rows, chosen: str, rejected: str, where: str) -> None:
    """Add two whole transcripts as one pair: the prompt is their common part, the responses their last turns.

    Counted: `empty` where a transcript does not end with an assistant's words, `different_prompts` where the parts
    before the last turn differ.
    """
    first, second = parse_transcript(chosen, where), parse_transcript(rejected, where)
    if not all(messages and messages[-1].role == "assistant" for messages in (first, second)):
        rows.drop("empty")
    elif first[:-1] != second[:-1] and not (is_blank(first[-1].content) or is_blank(second[-1].content)):
        rows.drop("different_prompts")
    else:
        rows.add(first[:-1], first[-1].content, second[-1].content)
