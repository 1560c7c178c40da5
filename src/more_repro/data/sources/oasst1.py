"""OpenAssistant: message trees, flat (the hub's table) or nested (the project's own export). Lower rank is better."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Literal

from more_repro.data.files import Row
from more_repro.data.raw import raw_rows
from more_repro.data.rows import Rows, SourceError, list_field, text_field
from more_repro.params import Data, Source
from more_repro.records import Message, Role

_ROLES: dict[str, Role] = {"prompter": "user", "assistant": "assistant"}
_LANGUAGE = "en"


def read(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Rows:
    """Every two assistant replies to one message make a pair; counted drops are described at `pair_siblings`."""
    messages = [flat for where, row in raw_rows(name, source, data, split) for flat in flatten(row, where)]
    return pair_siblings(name, messages)


def flatten(row: dict[str, Any], where: str) -> Iterator[Row]:
    """The messages of a raw row: a tree {"prompt": message}, a message with nested replies, or a flat message."""
    stack: list[tuple[Any, str | None]] = [(row.get("prompt", row), None)]
    while stack:
        message, parent = stack.pop()
        if not isinstance(message, dict):
            raise SourceError(where, "message", message, "an object")
        text_field(message, "message_id", where)
        text_field(message, "text", where)
        if message.get("role") not in _ROLES:
            raise SourceError(where, "role", message.get("role"), f"one of {', '.join(_ROLES)}")
        yield where, message | {"parent_id": message.get("parent_id") or parent, "replies": None}
        if message.get("replies"):
            replies = list_field(message, "replies", where, at_least=0)
            stack.extend((reply, message["message_id"]) for reply in reversed(replies))


def pair_siblings(name: str, messages: list[Row]) -> Rows:
    """Pairs of every two assistant replies to one message, the prompt being the thread down to that message.

    Counted: `other_language` (not English), `deleted` (deleted, or rejected in review), `unranked`, `tie`.
    Raises SourceError where a reply's parent is missing.
    """
    by_id = {message["message_id"]: (where, message) for where, message in messages}
    siblings: dict[str, list[dict[str, Any]]] = {}
    for _, message in by_id.values():
        if message["role"] == "assistant" and message["parent_id"] is not None:
            siblings.setdefault(message["parent_id"], []).append(message)
    rows = Rows(name)
    for parent, replies in siblings.items():
        if len(replies) > 1:
            prompt = _thread(parent, by_id, replies[0]["message_id"])
            for first, second in combinations(replies, 2):
                _add_pair(rows, prompt, first, second, by_id)
    return rows


def _add_pair(
    rows: Rows, prompt: tuple[Message, ...], first: dict[str, Any], second: dict[str, Any], by_id: dict[str, Row]
) -> None:
    both = (first, second)
    ranks = [_rank(message, by_id[message["message_id"]][0]) for message in both]
    if any(message.get("lang") != _LANGUAGE for message in both):
        rows.drop("other_language")
    elif any(message.get("deleted") or message.get("review_result") is False for message in both):
        rows.drop("deleted")
    elif ranks[0] is None or ranks[1] is None:
        rows.drop("unranked")
    elif ranks[0] == ranks[1]:
        rows.drop("tie")
    else:
        chosen, rejected = both if ranks[0] < ranks[1] else both[::-1]
        rows.add(prompt, chosen["text"], rejected["text"])


def _rank(message: dict[str, Any], where: str) -> int | None:
    rank = message.get("rank")
    if rank is None or rank != rank:  # the hub's table has NaN for no rank
        return None
    if isinstance(rank, bool) or not isinstance(rank, (int, float)) or rank != int(rank):
        raise SourceError(where, "rank", rank, "a whole number or null")
    return int(rank)


def _thread(message_id: str, by_id: dict[str, Row], asked_by: str) -> tuple[Message, ...]:
    """The messages from the root down to `message_id`."""
    thread: list[Message] = []
    seen: set[str] = set()
    current: str | None = message_id
    while current is not None:
        if current not in by_id or current in seen:
            expected = "a message of this file" if current not in seen else "a thread without a circle"
            raise SourceError(by_id[asked_by][0], "parent_id", current, expected)
        seen.add(current)
        message = by_id[current][1]
        thread.append(Message(_ROLES[message["role"]], message["text"].strip()))
        asked_by, current = current, message["parent_id"]
    return tuple(reversed(thread))
