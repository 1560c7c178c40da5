"""Reads the verdict off a reply. Strict: a judge that does not keep to the form is asked again, never guessed at."""

from typing import Literal

Answer = Literal["A", "B", "tie"]

_LINES: dict[str, Answer] = {"Verdict: A": "A", "Verdict: B": "B", "Verdict: tie": "tie"}


def read_answer(reply: str) -> Answer | None:
    """The verdict on the last line that is not blank, None where that line is not exactly one of the three.

    Only blanks around the line are ignored. What a reply says before its last line never counts.
    """
    lines = [line.strip() for line in reply.split("\n")]
    last = next((line for line in reversed(lines) if line), "")
    return _LINES.get(last)
