"""How many calls a chat judge may make and what they may cost: counted before a call is made, never after."""

import threading
from collections.abc import Mapping, Sequence

from more_repro.alignment.judges.errors import BudgetError
from more_repro.params import Chat

BYTES_PER_TOKEN = 4  # of English text, about; for estimates, while reservations take a token for every byte
_TOKENS_PER_MESSAGE = 8  # what a chat template adds, generously
_PER = 1e6  # prices are per million tokens


class Budget:
    """Calls and cost of one run of the stage. Threads share it; what is kept from earlier runs costs nothing."""

    def __init__(self, chat: Chat) -> None:
        """Raises BudgetError where a cost is limited whose prices are not known."""
        self._chat = chat
        self._lock = threading.Lock()
        self._reserved = 0.0
        self.n_calls = 0
        self.spent = 0.0
        if chat.max_cost is not None and not self.has_prices:
            raise BudgetError("judge.chat.max_cost needs judge.chat.price_prompt and judge.chat.price_reply")

    @property
    def has_prices(self) -> bool:
        return self._chat.price_prompt is not None and self._chat.price_reply is not None

    def cost_of(self, prompt_tokens: float, reply_tokens: float) -> float:
        """In the currency of the prices, 0 where they are not known."""
        prompt, reply = self._chat.price_prompt or 0.0, self._chat.price_reply or 0.0
        return (prompt_tokens * prompt + reply_tokens * reply) / _PER

    def estimate(self, n_bytes: int, n_calls: int) -> float:
        """Cost of calls with so many bytes of messages in all, every reply as long as it may be."""
        return self.cost_of(n_bytes / BYTES_PER_TOKEN, n_calls * self._chat.max_tokens)

    def check_plan(self, n_calls: int, n_bytes: int) -> None:
        """Raises BudgetError where the calls cannot fit, before the first one is made."""
        chat, cost = self._chat, self.estimate(n_bytes, n_calls)
        if n_calls > chat.max_calls:
            raise BudgetError(
                f"{n_calls:,} calls are needed, judge.chat.max_calls allows {chat.max_calls:,}; "
                "nothing was asked. Raise it, or lower judge.prompts"
            )
        if chat.max_cost is not None and cost > chat.max_cost:
            raise BudgetError(
                f"{n_calls:,} calls would cost about {cost:.2f}, judge.chat.max_cost allows {chat.max_cost:.2f}; "
                "nothing was asked. Raise it, or lower judge.prompts or judge.chat.max_tokens"
            )

    def take(self, messages: Sequence[Mapping[str, str]]) -> float:
        """Count one HTTP attempt and put aside the most it can cost. Raises BudgetError where that is too much."""
        chat = self._chat
        most = self.cost_of(n_bytes_of(messages) + _TOKENS_PER_MESSAGE * len(messages), chat.max_tokens)
        with self._lock:
            if self.n_calls >= chat.max_calls:
                raise BudgetError(f"all {chat.max_calls:,} calls of judge.chat.max_calls are made{_KEPT}")
            if chat.max_cost is not None and self.spent + self._reserved + most > chat.max_cost:
                raise BudgetError(f"{self.spent:.2f} of judge.chat.max_cost {chat.max_cost:.2f} are spent{_KEPT}")
            self.n_calls += 1
            self._reserved += most
        return most

    def settle(self, reserved: float, cost: float) -> None:
        """What an attempt really cost, in place of what was put aside for it."""
        with self._lock:
            self._reserved -= reserved
            self.spent += cost


_KEPT = "; the replies so far are kept: raise it and run again"


def n_bytes_of(messages: Sequence[Mapping[str, str]]) -> int:
    return sum(len(message["content"].encode()) for message in messages)
