"""Answers to questions, and how they follow from replies: the same for an endpoint and for a file of replies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from more_repro.alignment.judges.questions import Messages, Question, request_of
from more_repro.alignment.judges.verdict_parser import Answer, read_answer


@dataclass(frozen=True, slots=True)
class SoFar:
    """replies: (request, reply) of each attempt. answer: None without a readable reply. open: another may be had."""

    answer: Answer | None
    replies: tuple[tuple[str, str], ...]
    open: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """of: every question's answer, None where no reply could be read. replies: request -> reply, all that was used.

    n_cached: replies that were there before. n_calls: HTTP attempts of this run. n_failed: those that gave no reply.
    """

    of: Mapping[Question, Answer | None]
    replies: Mapping[str, str]
    n_cached: int = 0
    n_calls: int = 0
    n_failed: int = 0

    @property
    def n_unreadable(self) -> int:
        """Replies whose verdict could not be read."""
        return sum(read_answer(reply) is None for reply in self.replies.values())


def so_far(question: Question, attempts: int, find: Callable[[Messages], str | None]) -> SoFar:
    """Goes through the attempts in order, to the first readable reply or the first that `find` does not have."""
    replies: list[tuple[str, str]] = []
    for attempt in range(1, attempts + 1):
        messages = question.messages(attempt)
        reply = find(messages)
        if reply is None:
            return SoFar(None, tuple(replies), open=True)
        replies.append((request_of(messages), reply))
        answer = read_answer(reply)
        if answer is not None:
            return SoFar(answer, tuple(replies), open=False)
    return SoFar(None, tuple(replies), open=False)


def gather(found: Mapping[Question, SoFar]) -> tuple[dict[Question, Answer | None], dict[str, str]]:
    """Answers and replies of all questions; "" stands for a reply that never came, so that a replay finds it."""
    replies: dict[str, str] = {}
    for question, one in found.items():
        replies.update(one.replies or [(request_of(question.messages()), "")])
    return {question: one.answer for question, one in found.items()}, replies
