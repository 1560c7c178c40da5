"""Transcripts of a dialogue: the `Human: ..` turns of HH, and the `## Human:` turns of text-score files."""

import re
from math import nan

from more_repro.data.sources.pair_collector import Rows, is_blank, plain_lines
from more_repro.files.rows import InputError
from more_repro.records import Message, Role

# The first mark of a text, and the later ones, which need a blank line before them: apart, because a search for a
# literal beginning is several times faster.
_MARKS = (
    (re.compile(r"\s*## (Human|Assistant|System):"), re.compile(r"\n[ \t]*\n## (Human|Assistant|System):")),
    (re.compile(r"\s*(Human|Assistant):"), re.compile(r"\n[ \t]*\n(Human|Assistant):")),
)
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant", "System": "system"}


def looks_like_transcript(text: str) -> bool:
    """Whether a text begins with a turn's mark."""
    return any(start.match(text) for start, _ in _MARKS)


def parse_transcript(text: str, where: str) -> tuple[Message, ...]:
    """The messages of a transcript, neighbours of one role merged, blank messages left out but for the last.

    Real HH rows hold two assistant turns in a row where a text was cut; merged, both transcripts share their prompt.
    Raises InputError if the text does not begin with a turn's mark.
    """
    text = plain_lines(text)
    marks = next(((first, later) for start, later in _MARKS if (first := start.match(text))), None)
    if marks is None:
        raise InputError(where, "transcript", text[:60], "'\\n\\nHuman: ..' or '## Human:\\n..' turns")
    first, later = marks
    found = [first, *later.finditer(text, first.end())]
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    turns = [(_ROLES[mark[1]], text[mark.end() : end].strip()) for mark, end in zip(found, ends, strict=True)]
    merged: list[tuple[Role, str]] = []
    for number, (role, content) in enumerate(turns):
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{content}".strip())
        elif not is_blank(content) or number == len(turns) - 1:
            merged.append((role, content))
    return tuple(Message(role, content) for role, content in merged)


def add_transcripts(rows: Rows, chosen: str, rejected: str, where: str, margin: float = nan) -> None:
    """Add two whole transcripts as one pair; see `add_dialogues`."""
    add_dialogues(rows, parse_transcript(chosen, where), parse_transcript(rejected, where), where, margin)


def add_dialogues(
    rows: Rows, chosen: tuple[Message, ...], rejected: tuple[Message, ...], where: str, margin: float = nan
) -> None:
    """Add two dialogues as one pair: the prompt is their common part, the responses their last turns.

    Counted: `no_answer` where both are one message that is no assistant's (so are transcripts without blank lines),
    `empty` where a dialogue does not end with an assistant's words, `different_prompts` where the parts before the
    last turn differ.
    """
    if all(len(messages) == 1 and messages[0].role != "assistant" for messages in (chosen, rejected)):
        rows.drop("no_answer", where=where, texts=("", chosen, rejected))
    elif not all(messages and messages[-1].role == "assistant" for messages in (chosen, rejected)):
        rows.drop("empty", where=where, texts=("", chosen, rejected))
    elif chosen[:-1] != rejected[:-1] and not (is_blank(chosen[-1].content) or is_blank(rejected[-1].content)):
        rows.drop("different_prompts", where=where, texts=("", chosen, rejected))
    else:
        rows.add(chosen[:-1], chosen[-1].content, rejected[-1].content, where, margin)
