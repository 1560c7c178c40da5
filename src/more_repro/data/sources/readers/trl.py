"""TRL's preference format: prompt / chosen / rejected as plain text or as messages, the prompt given or implied."""

from typing import Any, get_args

from more_repro.data.sources.pair_collector import Rows, is_blank, margin_field, plain_lines, question, text_field
from more_repro.data.sources.reader import How, RowReader, SameForm
from more_repro.data.sources.transcripts import add_transcripts, looks_like_transcript, parse_transcript
from more_repro.files.rows import InputError
from more_repro.records import Message, Role


class Reader(RowReader):
    """One pair for each row, all rows of a file in one of the four forms.

    Text with a prompt: the prompt is one user message, or the turns of a transcript. Text without: two transcripts,
    or else the words that both begin with are the prompt. Messages: whatever both begin with belongs to the prompt.
    Where both sides repeat a given prompt, it is taken once. `margin`, a number or null, is kept.
    Counted: `different_prompts`, and `multi_turn` where a response has more than one message.
    """

    needs = "chosen and rejected, both text or both lists of messages {role, content}; prompt, or none"
    keys = frozenset({"chosen", "rejected"})
    json_columns = frozenset({"margin"})

    def __init__(self, rows: Rows, how: How) -> None:
        super().__init__(rows, how)
        self._form = SameForm()

    @classmethod
    def fits(cls, row: dict[str, Any]) -> bool:
        if not cls.keys <= row.keys():
            return False
        sides = (row["chosen"], row["rejected"])
        transcripts = all(isinstance(side, str) and looks_like_transcript(side) for side in sides)
        return row.get("prompt") is not None or not transcripts

    def add(self, row: dict[str, Any], where: str) -> None:
        text, given = not isinstance(row.get("chosen"), list), row.get("prompt") is not None
        kind, prompt = "plain text" if text else "conversational", "explicit" if given else "implicit"
        form = f"TRL, {kind}, {prompt} prompt"
        self._form.check(form, where)
        if text:
            _add_texts(self.rows, row, where)
        else:
            _add_messages(self.rows, row, where)
        self._form.form = form

    def form(self) -> str:
        return self._form.form


def _add_texts(rows: Rows, row: dict[str, Any], where: str) -> None:
    chosen, rejected = (plain_lines(text_field(row, side, where)) for side in ("chosen", "rejected"))
    margin = margin_field(row, where)
    if row.get("prompt") is not None:
        rows.add(_text_prompt(text_field(row, "prompt", where), where), chosen, rejected, where, margin)
    elif looks_like_transcript(chosen) and looks_like_transcript(rejected):
        add_transcripts(rows, chosen, rejected, where, margin)
    else:
        start = _common_words(chosen, rejected)
        rows.add(question(chosen[:start]), chosen[start:], rejected[start:], where, margin)


def _text_prompt(prompt: str, where: str) -> tuple[Message, ...]:
    if not looks_like_transcript(prompt):
        return question(prompt)
    messages = parse_transcript(prompt, where)
    opens_answer = messages and messages[-1].role == "assistant" and is_blank(messages[-1].content)
    return messages[:-1] if opens_answer else messages


def _common_words(first: str, second: str) -> int:
    """Length of the common beginning, cut back to the end of a word."""
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    if length == len(first) == len(second):
        return length
    while length and not first[length - 1].isspace():
        length -= 1
    return length


def _add_messages(rows: Rows, row: dict[str, Any], where: str) -> None:
    chosen = _messages(row["chosen"], "chosen", where)
    rejected = _messages(row.get("rejected"), "rejected", where)
    prompt, margin = row.get("prompt"), margin_field(row, where)
    if isinstance(prompt, list):
        before = _messages(prompt, "prompt", where)
    elif prompt is not None:
        before = _text_prompt(text_field(row, "prompt", where), where)
    else:
        shared = _common_messages(chosen, rejected)
        before, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    if prompt is not None and _begins_with(chosen, before) and _begins_with(rejected, before):
        chosen, rejected = chosen[len(before) :], rejected[len(before) :]
    said = tuple("\n\n".join(message.content for message in side) for side in (chosen, rejected))
    if not chosen or not rejected:
        rows.drop("empty", where=where, texts=(before, *said))
    elif not before:
        rows.drop("different_prompts" if prompt is None else "empty", where=where, texts=("", *said))
    elif len(chosen) > 1 or len(rejected) > 1:
        rows.drop("multi_turn", where=where, texts=(before, *said))
    elif chosen[0].role != "assistant" or rejected[0].role != "assistant":
        raise InputError(where, "role", [chosen[0].role, rejected[0].role], "'assistant' as the last role")
    else:
        rows.add(before, chosen[0].content, rejected[0].content, where, margin)


def _begins_with(side: tuple[Message, ...], before: tuple[Message, ...]) -> bool:
    """Whether a side repeats the prompt and goes on."""
    return len(side) > len(before) and side[: len(before)] == before


def _common_messages(first: tuple[Message, ...], second: tuple[Message, ...]) -> int:
    """How many messages both begin with, the last one of each left out."""
    shared = 0
    while shared < min(len(first), len(second)) - 1 and first[shared] == second[shared]:
        shared += 1
    return shared


def _messages(value: object, key: str, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise InputError(where, key, value, "a list of messages")
    messages = []
    for item in value:
        if not isinstance(item, dict):
            raise InputError(where, key, item, '{"role", "content"}')
        role, content = text_field(item, "role", where), text_field(item, "content", where)
        if role not in get_args(Role):
            raise InputError(where, f"{key}.role", role, f"one of {', '.join(get_args(Role))}")
        messages.append(Message(role, plain_lines(content).strip()))  # type: ignore[arg-type]  # just checked
    return tuple(messages)
