"""A judge behind an OpenAI-compatible chat endpoint: every question once, what is known already never again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from more_repro.alignment.judges.answers import Answers, SoFar, gather, so_far
from more_repro.alignment.judges.chat.backoff import Clock, Waiting
from more_repro.alignment.judges.chat.budget import Budget, n_bytes_of
from more_repro.alignment.judges.chat.client import ChatClient, FailedCall
from more_repro.alignment.judges.chat.endpoint import Endpoint
from more_repro.alignment.judges.chat.reply_cache import ReplyCache
from more_repro.alignment.judges.errors import JudgeError
from more_repro.alignment.judges.questions import Question
from more_repro.params import Chat
from more_repro.progress import Progress, say

# Answers 429 to one question before they count as failed calls: patience is not a fault of the question.
PATIENCE = 20


def cache_of(folder: Path, chat: Chat, endpoint: Endpoint) -> ReplyCache:
    """The replies of one model with these settings. The address is no part of it: a server may move."""
    settings = {"model": endpoint.model, "temperature": chat.temperature, "max_tokens": chat.max_tokens}
    return ReplyCache(folder, settings)


def answer_questions(
    questions: Sequence[Question],
    chat: Chat,
    endpoint: Endpoint,
    folder: Path,
    *,
    most_unanswered: float,
    rng: np.random.Generator,
    clock: Clock | None = None,
    write: Callable[[str], None] = say,
) -> Answers:
    """Ask what the cache in `folder` does not hold, `chat.concurrency` calls at a time.

    questions: no two the same. most_unanswered: more questions than this without a readable reply end the run.
    The plan is said before the first call. Raises BudgetError where it does not fit or the budget is spent on the way,
    JudgeError where the endpoint refuses or fails again and again; every reply until then is kept.
    """
    cache = cache_of(folder, chat, endpoint)
    found = {question: so_far(question, chat.attempts, cache.get) for question in questions}
    n_cached = sum(len(one.replies) for one in found.values())
    todo = [question for question, one in found.items() if one.open]
    budget = Budget(chat)
    _plan(todo, found, budget, chat, write)
    n_failed = 0
    if todo:
        may_fail = most_unanswered - sum(not one.open and one.answer is None for one in found.values())
        client = ChatClient(endpoint, chat, budget, clock or Clock())
        if len(todo) <= may_fail:  # as where a finished run is repeated: the few that failed then may fail again
            client.most_in_a_row = None
        found.update(_Run(chat, cache, client, rng, clock or Clock()).ask_all(todo, may_fail, write))
        n_failed = client.n_failed
    answers, replies = gather(found)
    return Answers(answers, replies, n_cached=n_cached, n_calls=budget.n_calls, n_failed=n_failed)


def _plan(
    todo: Sequence[Question],
    found: Mapping[Question, SoFar],
    budget: Budget,
    chat: Chat,
    write: Callable[[str], None],
) -> None:
    """Say what the run will ask and cost. Raises BudgetError where that does not fit."""
    n_bytes = sum(n_bytes_of(question.messages(len(found[question].replies) + 1)) for question in todo)
    line = (
        f"judge: {len(found):,} questions, {len(found) - len(todo):,} answered in the cache, "
        f"{len(todo):,} calls to make, of at most {chat.max_calls:,}"
    )
    if budget.has_prices:
        limit = "" if chat.max_cost is None else f", of at most {chat.max_cost:.2f}"
        line += f"; cost about {budget.estimate(n_bytes, len(todo)):.2f}{limit}"
    write(line)
    budget.check_plan(len(todo), n_bytes)


class _Run:
    """The threads of one run, and what they share."""

    def __init__(
        self, chat: Chat, cache: ReplyCache, client: ChatClient, rng: np.random.Generator, clock: Clock
    ) -> None:
        self.chat, self.cache, self.client = chat, cache, client
        self.stop = threading.Event()
        self.waiting = Waiting(rng, clock, self.stop)

    def ask_all(
        self, todo: Sequence[Question], most_unanswered: float, write: Callable[[str], None]
    ) -> dict[Question, SoFar]:
        """Every question of `todo`; the first error ends the run, after the calls under way have been kept."""
        progress = Progress("judge", len(todo), unit="answers", write=write)
        found: dict[Question, SoFar] = {}
        n_unanswered = 0
        pool = ThreadPoolExecutor(self.chat.concurrency, thread_name_prefix="judge")
        try:
            futures: dict[Future[SoFar], Question] = {pool.submit(self._ask, one): one for one in todo}
            for future in as_completed(futures):
                one = future.result()
                if one.open and self.stop.is_set():
                    continue  # left off, for another call ended the run: its error is still to come
                found[futures[future]] = one
                n_unanswered += one.answer is None
                if n_unanswered > most_unanswered:
                    raise JudgeError(_too_many(n_unanswered, len(found), found))
                progress.step()
        except JudgeError:
            raise  # calls under way are waited for, and their replies kept
        except BaseException:
            self.client.close()  # interrupted: drops the calls under way
            raise
        finally:
            self.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self.client.close()
        return found

    def _ask(self, question: Question) -> SoFar:
        try:
            return self.ask(question)
        except BaseException:
            self.stop.set()  # no other thread begins another call
            raise

    def ask(self, question: Question) -> SoFar:
        """Attempts until one reply can be read, or `attempts` are used up by unreadable replies and failed calls."""
        n_failed = n_patient = 0
        while True:
            one = so_far(question, self.chat.attempts, self.cache.get)
            if not one.open or len(one.replies) + n_failed >= self.chat.attempts or self.stop.is_set():
                return one
            self.waiting.until_allowed()
            if self.stop.is_set():
                return one
            messages = question.messages(len(one.replies) + 1)
            try:
                self.cache.put(messages, self.client.call(messages))
            except FailedCall as failure:
                patient = failure.rate_limited and n_patient < PATIENCE
                n_patient, n_failed = n_patient + patient, n_failed + (not patient)
                if n_failed < self.chat.attempts:
                    self.waiting.after_failure(max(1, n_failed + n_patient), failure.retry_after)


def _too_many(n_unanswered: int, n_asked: int, found: Mapping[Question, SoFar]) -> str:
    last = next((one.replies[-1][1] for one in found.values() if one.answer is None and one.replies), None)
    ending = "no reply came" if last is None else f"one ends in {last.strip()[-80:]!r}"
    return (
        f"{n_unanswered} of the first {n_asked} questions have no readable reply ({ending}): more than "
        "judge.invalid_share allows. The replies are kept; another model, more judge.chat.max_tokens or "
        "judge.chat.attempts may help"
    )
