"""What a source reader takes and hands back, and the one error it raises for input it cannot use."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

from more_repro.files.rows import InputError
from more_repro.records import Message, PreferencePair

# What a web forum leaves behind in place of a text.
_PLACEHOLDERS = frozenset({"[removed]", "[deleted]"})

MOST_EXAMPLES = 3  # of each reason, source and split
EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Example:
    """One dropped comparison, each text cut to EXAMPLE_CHARACTERS: what the audit shows beside a count."""

    where: str
    prompt: str
    chosen: str
    rejected: str


Text = str | tuple[Message, ...]


@dataclass(slots=True)
class Rows:
    """Pairs of one source and split, how many comparisons were dropped for which reason, and examples of each."""

    source: str
    pairs: list[PreferencePair] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)  # reason -> the first MOST_EXAMPLES

    @property
    def n_read(self) -> int:
        return len(self.pairs) + sum(self.dropped.values())

    def add(
        self, prompt: tuple[Message, ...], chosen: str, rejected: str, where: str = "", margin: float = nan
    ) -> None:
        """Keep a comparison, or count it as `empty` or `identical`. margin: score of chosen minus that of rejected.

        Texts are kept as they are but for outer blanks and the ends of lines.
        """
        if any("\r" in message.content for message in prompt):
            prompt = tuple(Message(message.role, plain_lines(message.content)) for message in prompt)
        chosen, rejected = plain_lines(chosen).strip(), plain_lines(rejected).strip()
        if is_blank(chosen) or is_blank(rejected) or not prompt or is_blank(prompt[-1].content):
            self.drop("empty", where=where, texts=(prompt, chosen, rejected))
        elif chosen == rejected:
            self.drop("identical", where=where, texts=(prompt, chosen, rejected))
        else:
            known = margin if isfinite(margin) else nan  # the difference of two huge scores may be infinite
            self.pairs.append(PreferencePair(self.source, prompt, chosen, rejected, score_margin=known))

    def drop(self, reason: str, n_pairs: int = 1, where: str = "", texts: tuple[Text, ...] = ()) -> None:
        """Count a dropped comparison. texts: prompt, chosen and rejected, as far as they are known; a prompt may be
        messages. The first MOST_EXAMPLES of a reason that say anything are kept as examples."""
        self.dropped[reason] += n_pairs
        if (where or texts) and len(self.examples.setdefault(reason, [])) < MOST_EXAMPLES:
            shown = [shorten(text) for text in texts]
            self.examples[reason].append(Example(where, *shown, *[""] * (3 - len(shown))))


def shorten(text: Text) -> str:
    """A text, or the messages of a prompt, cut to EXAMPLE_CHARACTERS."""
    whole = text if isinstance(text, str) else "\n\n".join(message.content for message in text)
    return whole if len(whole) <= EXAMPLE_CHARACTERS else f"{whole[: EXAMPLE_CHARACTERS - 2]} …"


def plain_lines(text: str) -> str:
    """A text whose lines all end with a line feed alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def is_blank(text: str) -> bool:
    """Whether a text says nothing: blank, or only a forum's placeholder."""
    stripped = text.strip()
    return not stripped or stripped in _PLACEHOLDERS


def question(text: str) -> tuple[Message, ...]:
    """A prompt of one user message."""
    return (Message("user", text.strip()),)


def text_field(row: dict[str, Any], key: str, where: str) -> str:
    """The text of a field. Raises InputError if it is missing or not text."""
    value = _field(row, key, where, "text")
    if not isinstance(value, str):
        raise InputError(where, key, value, "text")
    return value


def number_field(row: dict[str, Any], key: str, where: str) -> float:
    """The finite number of a field. Raises InputError if it is missing or none."""
    return as_number(_field(row, key, where, "a finite number"), key, where)


def margin_field(row: dict[str, Any], where: str) -> float:
    """The number of the field `margin`, NaN where there is none. Raises InputError if it is anything else."""
    value = row.get("margin")
    return nan if value is None or value != value else as_number(value, "margin", where)


def as_number(value: object, key: str, where: str) -> float:
    """A finite number as a float. Raises InputError for anything else, and for an integer that no float can hold."""
    with suppress(OverflowError):  # an integer beyond the floats
        if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    raise InputError(where, key, value, "a finite number")


def map_field(row: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """The nested object of a field. Raises InputError if it is missing or none."""
    value = _field(row, key, where, "an object")
    if not isinstance(value, dict):
        raise InputError(where, key, value, "an object")
    return value


def list_field(row: dict[str, Any], key: str, where: str, at_least: int) -> list[Any]:
    """The list of a field. Raises InputError if it is missing, none, or shorter than `at_least`."""
    value = _field(row, key, where, "a list")
    if not isinstance(value, list) or len(value) < at_least:
        raise InputError(where, key, value, f"a list of at least {at_least}")
    return value


def _field(row: dict[str, Any], key: str, where: str, expected: str) -> object:
    if key not in row:
        raise InputError(where, key, sorted(row), f"{expected}; the field is missing")
    return row[key]
