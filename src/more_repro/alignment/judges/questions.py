"""What a judge of pairs is asked: one criterion, one conversation, two responses in marked places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from more_repro.records import Message
from more_repro.store.digests import json_digest

Criterion = str
Messages = tuple[Mapping[str, str], ...]  # messages as an endpoint takes them

_FILES: dict[Criterion, str] = {"helpful": "criteria/helpful.txt", "harmless": "criteria/harmless.txt"}
_FORM = "criteria/form.txt"
_ASKED_AGAIN = (
    "This is request number {attempt} for this comparison: the last line of the reply before was not exactly one of "
    "the three verdict lines."
)


@dataclass(frozen=True, slots=True)
class Question:
    """Which of two responses is better by a criterion; `first` stands in place A, `second` in place B."""

    criterion: Criterion
    prompt: tuple[Message, ...]
    first: str
    second: str

    def messages(self, attempt: int = 1) -> Messages:
        """What is sent. Attempts differ by one sentence: at temperature 0 the same words would get the same reply."""
        return (
            {"role": "system", "content": f"{_text(_FILES[self.criterion])}\n{_text(_FORM)}"},
            {"role": "user", "content": self._body(attempt)},
        )

    def _body(self, attempt: int) -> str:
        code = self._code()
        turns = [(f"message {n} by {m.role}", m.content) for n, m in enumerate(self.prompt, 1)]
        parts = [*turns, ("response A", self.first), ("response B", self.second)]
        marked = [f"[{name} {code}]\n{text}\n[end of {name} {code}]" for name, text in parts]
        again = [_ASKED_AGAIN.format(attempt=attempt)] if attempt > 1 else []
        end = "Compare response A with response B, and end with the verdict line."
        return "\n\n".join([f"The code of the marks is {code}.", *marked, *again, end])

    def _code(self) -> str:
        """Ends every mark. It is a digest of the texts, so no text can hold the mark that would end it."""
        texts = [*((m.role, m.content) for m in self.prompt), self.first, self.second]
        return json_digest(texts)[:12]


def request_of(messages: Sequence[Mapping[str, str]]) -> str:
    """Name of a request: sha256 of its messages, criterion and form included; the same for every model."""
    return json_digest(messages)


@cache
def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
