"""OpenAssistant: message trees, flat (the hub's table) or nested (the project's own export). Lower rank is better."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from more_repro.data.sources.pair_collector import Rows, is_blank, list_field, text_field
from more_repro.data.sources.reader import How, RowReader, SameForm
from more_repro.files.rows import InputError
from more_repro.records import Message, Role

_ROLES: dict[str, Role] = {"prompter": "user", "assistant": "assistant"}
_LANGUAGE = "en"
_TREES = "OASST trees"
_INFINITE = (float("inf"), float("-inf"))
# The first that a reply or its thread has is counted.
_REASONS = ("no_prompt", "other_language", "deleted", "unreviewed", "empty", "unranked")


class Reader(RowReader):
    """Every two assistant replies to one message make a pair, or (top_two) only the best two that may be used.

    Counted, for a reply or a message of its thread: `other_language` (not English), `deleted`, `unreviewed` (not
    accepted in review), `empty`; and `unranked`, `tie`, and `no_prompt` where the thread is not whole.
    Raises InputError for a thread that is a circle.
    """

    needs = "message_id, parent_id, role, text and rank (flat messages), or nested replies (trees)"
    keys = frozenset({"message_id", "role", "text"})
    json_columns = frozenset({"rank", "deleted", "review_result", "replies"})

    def __init__(self, rows: Rows, how: How) -> None:
        super().__init__(rows, how)
        self._messages: dict[str, dict[str, Any]] = {}
        self._form, self._nested = SameForm(), False

    @classmethod
    def fits(cls, row: dict[str, Any]) -> bool:
        root = row.get("prompt", row)
        return isinstance(root, dict) and cls.keys <= root.keys()

    def add(self, row: dict[str, Any], where: str) -> None:
        """Take a tree {"prompt": message}, a message with nested replies, or a flat message."""
        form = _TREES if "prompt" in row else "OASST messages"
        self._form.check(form, where)
        found = {}
        for message in flatten(row, where):
            if message["message_id"] in self._messages or message["message_id"] in found:
                raise InputError(where, "message_id", message["message_id"], "each message once")
            found[message["message_id"]] = message
        self._messages |= found
        self._form.form, self._nested = form, self._nested or bool(row.get("replies"))

    def form(self) -> str:
        if self._form.form == _TREES:
            return _TREES
        return "OASST nested messages" if self._nested else "OASST flat messages"

    def finish(self) -> None:
        siblings: dict[str, list[dict[str, Any]]] = {}
        for message in self._messages.values():
            if message["role"] == "assistant" and message["parent_id"] is not None:
                siblings.setdefault(message["parent_id"], []).append(message)
        for parent, replies in siblings.items():
            if len(replies) > 1:
                self._pair(self._thread(parent, replies[0]["where"]), replies)

    def _pair(self, thread: list[dict[str, Any]] | None, replies: list[dict[str, Any]]) -> None:
        prompt = tuple(Message(_ROLES[message["role"]], message["text"].strip()) for message in thread or ())
        of_thread = {"no_prompt"} if thread is None else {_fault(message) for message in thread}
        if any(is_blank(message.content) for message in prompt):
            of_thread.add("empty")
        if self.how.ranked == "top_two":
            usable = sorted(
                (reply for reply in replies if not _reply_fault(reply)), key=lambda reply: int(reply["rank"])
            )
            replies = usable[:2] if len(usable) > 1 else replies[:2]
        for first, second in combinations(replies, 2):
            faults = of_thread | {_reply_fault(first), _reply_fault(second)}
            reason = next((reason for reason in _REASONS if reason in faults), None)
            if reason or first["rank"] == second["rank"]:
                self.rows.drop(reason or "tie", where=first["where"], texts=(prompt, first["text"], second["text"]))
            else:
                chosen, rejected = (first, second) if first["rank"] < second["rank"] else (second, first)
                self.rows.add(prompt, chosen["text"], rejected["text"], first["where"])

    def _thread(self, message_id: str, where: str) -> list[dict[str, Any]] | None:
        """The messages from the root down to `message_id`, None where one is missing."""
        thread: list[dict[str, Any]] = []
        seen: set[str] = set()
        current: str | None = message_id
        while current is not None:
            if current in seen:
                raise InputError(where, "parent_id", current, "a thread without a circle")
            if current not in self._messages:
                return None
            seen.add(current)
            message = self._messages[current]
            thread.append(message)
            where, current = message["where"], message["parent_id"]
        return thread[::-1]


def _fault(message: dict[str, Any]) -> str | None:
    """The first reason that keeps a message out of every pair."""
    if message["lang"] != _LANGUAGE:
        return "other_language"
    if message["deleted"]:
        return "deleted"
    if message["review_result"] is not True:
        return "unreviewed"
    return None


def _reply_fault(message: dict[str, Any]) -> str | None:
    """The first reason that keeps a reply out of every pair."""
    return _fault(message) or ("unranked" if message["rank"] is None else None)


def flatten(row: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """The messages of a raw row, each with its parent_id, what pairing needs, and where it stands."""
    stack: list[tuple[Any, str | None]] = [(row.get("prompt", row), None)]
    while stack:
        message, parent = stack.pop()
        if not isinstance(message, dict):
            raise InputError(where, "message", message, "an object")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise InputError(where, "role", role, f"one of {', '.join(_ROLES)}")
        own = text_field(message, "message_id", where)
        yield {
            "message_id": own,
            "text": text_field(message, "text", where),
            "role": role,
            "parent_id": _parent_id(message, where) or parent,
            "rank": _rank(message, where),
            "lang": message.get("lang"),
            "deleted": message.get("deleted"),
            "review_result": message.get("review_result"),
            "where": where,
        }
        if message.get("replies"):
            replies = list_field(message, "replies", where, at_least=0)
            stack.extend((reply, own) for reply in reversed(replies))


def _parent_id(message: dict[str, Any], where: str) -> str | None:
    parent = message.get("parent_id")
    if parent is None or parent != parent:  # a table of numbers has NaN for none
        return None
    if not isinstance(parent, str):
        raise InputError(where, "parent_id", parent, "text or null")
    return parent


def _rank(message: dict[str, Any], where: str) -> int | None:
    rank = message.get("rank")
    if rank is None or rank != rank:  # the hub's table has NaN for no rank
        return None
    if isinstance(rank, bool) or not isinstance(rank, (int, float)) or rank in _INFINITE or rank != int(rank):
        raise InputError(where, "rank", rank, "a whole number or null")
    return int(rank)
