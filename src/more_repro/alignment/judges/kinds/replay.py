"""A judge whose replies lie in a file: an earlier run again without a call, or answers that were had elsewhere."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from more_repro import tables
from more_repro.alignment.judges.answers import Answers, gather, so_far
from more_repro.alignment.judges.errors import JudgeError
from more_repro.alignment.judges.judge import JudgeOfPairs
from more_repro.alignment.judges.questions import Question, request_of
from more_repro.files.local_path import local_path
from more_repro.files.rows import InputError
from more_repro.params import Params
from more_repro.store.atomic import write_text
from more_repro.store.digests import file_digest

_FIELDS = ("request", "reply")


class Judge(JudgeOfPairs):
    """Its replies lie in the file `judge.replay` under data.folder."""

    note = (
        "Judge: replies read from a file, to questions asked twice with the places swapped; agreement decides, "
        "disagreement is a tie."
    )

    @classmethod
    def identity(cls, params: Params) -> dict[str, str]:
        try:
            return {"sha256": file_digest(replay_path(params.data.folder, params.judge.replay or ""))}
        except (JudgeError, OSError):  # the stage judging says what is wrong
            return {"sha256": ""}

    def answers(self, questions: Sequence[Question], most_unanswered: float) -> Answers:
        params = self.inputs.params
        path = replay_path(params.data.folder, params.judge.replay or "")
        wanted = self.inputs.paths.scratch / "judge" / "wanted.jsonl"
        return answer_questions(questions, params.judge.chat.attempts, path, wanted)


def replay_path(folder: str | Path, name: str) -> Path:
    """The file of replies. Raises JudgeError where it is not there, or lies outside data.folder."""
    try:
        return local_path(folder, name, "judge.replay")
    except InputError as error:
        raise JudgeError(str(error)) from None


def read_replies(path: Path) -> dict[str, str]:
    """request -> reply, from JSON Lines or from the Parquet table "judge_replies".

    Raises JudgeError naming file, line (row of a table) and field; a request given twice must have one reply.
    """
    replies: dict[str, str] = {}
    for where, row in _table_rows(path) if path.suffix == ".parquet" else _lines(path):
        request, reply = (_text(where, row, field) for field in _FIELDS)
        if replies.setdefault(request, reply) != reply:
            raise JudgeError(f"{where}: field 'request': {request!r} has another reply further up")
    return replies


def answer_questions(questions: Sequence[Question], attempts: int, path: Path, wanted: Path) -> Answers:
    """Answers from a file. A request that was asked again without a further reply stays unanswered.

    Where first requests have no reply at all, they are written to `wanted`, one {request, messages} on a line, and
    JudgeError says how many: their replies can then be had elsewhere.
    """
    replies = read_replies(path)
    missing = [question for question in questions if request_of(question.messages()) not in replies]
    if missing:
        _write_requests(missing, wanted)
        raise JudgeError(
            f"{path}: {len(missing):,} of {len(questions):,} requests have no reply; {wanted} lists them with their "
            "messages. A file belongs to the texts and criteria that it was made for"
        )
    found = {one: so_far(one, attempts, lambda messages: replies.get(request_of(messages))) for one in questions}
    answers, used = gather(found)
    return Answers(answers, used, n_cached=len(used))


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JudgeError(f"{path}: {error.strerror}") from None
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"{path}:{number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise JudgeError(f"{path}:{number}: not a line of JSON in UTF-8 ({error})") from None


def _table_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise JudgeError(f"{path}: no Parquet table ({error})") from None
    try:
        table = tables.check(table, "judge_replies", str(path))
    except tables.TableError as error:
        raise JudgeError(str(error)) from None
    for number, row in enumerate(table.itertuples(index=False, name=None)):
        yield f"{path}: row {number}", dict(zip(_FIELDS, row, strict=True))


def _text(where: str, row: Any, field: str) -> str:
    if not isinstance(row, dict):
        raise JudgeError(f"{where}: found {type(row).__name__}, expected an object with 'request' and 'reply'")
    if field not in row:
        raise JudgeError(f"{where}: field {field!r} is missing")
    if not isinstance(row[field], str):
        raise JudgeError(f"{where}: field {field!r}: found {row[field]!r:.80}, expected text")
    return row[field]


def _write_requests(questions: Sequence[Question], path: Path) -> None:
    lines = (
        json.dumps({"request": request_of(messages), "messages": messages}, ensure_ascii=False)
        for messages in (question.messages() for question in questions)
    )
    write_text(path, "\n".join(lines) + "\n")
