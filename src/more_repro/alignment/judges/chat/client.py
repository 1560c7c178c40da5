"""One HTTP attempt at a chat endpoint: counted in the budget, its failure named, the key kept out of what is said."""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from more_repro.alignment.judges.chat.backoff import Clock, retry_after_s
from more_repro.alignment.judges.chat.budget import BYTES_PER_TOKEN, Budget, n_bytes_of
from more_repro.alignment.judges.chat.endpoint import BASE_URL, KEY, MODEL, Endpoint
from more_repro.alignment.judges.errors import JudgeError
from more_repro.params import Chat

CUT_OFF = "\n[cut off at max_tokens]"  # ends a reply that did not end by itself: its last line is no verdict
_RETRIED = (408, 409, 429)  # and every 5xx
_RATE_LIMIT = 429
_SAID_LENGTH = 300
_HINTS = {
    400: "the endpoint does not accept the request: check the settings in judge.chat against what it supports",
    401: f"check {KEY}",
    403: f"check {KEY}, and whether it may use the model of {MODEL}",
    404: f"check {BASE_URL} and {MODEL}",
}


class FailedCall(Exception):
    """An attempt without a reply that may be repeated.

    rate_limited: the endpoint only asks for patience. maybe_billed: it may have done the work.
    """

    def __init__(self, said: str, retry_after: float | None, rate_limited: bool, maybe_billed: bool) -> None:
        super().__init__(said)
        self.retry_after, self.rate_limited, self.maybe_billed = retry_after, rate_limited, maybe_billed


class ChatClient:
    """Threads may share it. After too many failures in a row, over all threads, it stops: the circuit breaker."""

    def __init__(self, endpoint: Endpoint, chat: Chat, budget: Budget, clock: Clock) -> None:
        """Raises JudgeError where the package openai is not installed."""
        try:
            import openai
        except ImportError:
            raise JudgeError(
                "the judge `chat` needs the package openai: pip install 'more-repro[judge]', or pip install openai"
            ) from None
        self._openai = openai
        self._endpoint, self._chat, self._budget, self._clock = endpoint, chat, budget, clock
        self._client = openai.OpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.key,
            timeout=chat.timeout_s,
            max_retries=0,  # its own retries would not be counted in the budget
        )
        self._lock = threading.Lock()
        self._in_a_row = 0
        self.most_in_a_row: int | None = max(10, 3 * chat.concurrency)  # None = no breaker
        self.n_failed = 0

    def call(self, messages: Sequence[Mapping[str, str]]) -> str:
        """One attempt: the reply's text. Raises FailedCall, or JudgeError where no further attempt makes sense."""
        reserved = self._budget.take(messages)
        try:
            reply, cost = self._read(self._send(messages), messages)
        except FailedCall as failure:
            self._budget.settle(reserved, reserved if failure.maybe_billed else 0.0)
            self._count_failure(failure)
            raise
        except BaseException:
            self._budget.settle(reserved, 0.0)
            raise
        self._budget.settle(reserved, cost)
        with self._lock:
            self._in_a_row = 0
        return reply

    def close(self) -> None:
        """Drops the connections, open calls too."""
        self._client.close()

    def _send(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The body of the answer. What openai raises holds the request with its key: it is not passed on."""
        failure: Exception
        try:
            # typed for its own message classes; any mapping of these keys is what is sent
            answer = self._client.chat.completions.with_raw_response.create(
                model=self._endpoint.model,
                messages=list(messages),  # type: ignore[arg-type]
                temperature=self._chat.temperature,
                max_tokens=self._chat.max_tokens,
            )
            return answer.http_response.text
        except self._openai.APIStatusError as error:
            failure = self._refusal(error.status_code, error.response.headers, error.message, error.code)
        except self._openai.APITimeoutError:
            failure = FailedCall(f"no answer within {self._chat.timeout_s:g} s", None, False, maybe_billed=True)
        except self._openai.OpenAIError as error:
            failure = FailedCall(f"the connection failed ({type(error).__name__})", None, False, maybe_billed=True)
        raise failure

    def _refusal(self, status: int, headers: Mapping[str, str], message: str, code: str | None) -> Exception:
        said = message.removeprefix(f"Error code: {status} - ")
        said = self._endpoint.redact(f"HTTP {status}: {said}")[:_SAID_LENGTH]
        if (status in _RETRIED or status >= 500) and code != "insufficient_quota":
            return FailedCall(said, retry_after_s(headers, self._clock), status == _RATE_LIMIT, maybe_billed=False)
        hint = _HINTS.get(status)
        return JudgeError(f"the judge's endpoint refuses: {said}" + (f"; {hint}" if hint else ""))

    def _read(self, body: str, messages: Sequence[Mapping[str, str]]) -> tuple[str, float]:
        """Text and cost of a reply. A body of another form is a failed call: some proxies answer 200 with a page."""
        try:
            raw: Any = json.loads(body)
            choice = raw["choices"][0]
            reply = choice["message"]["content"]
            reply = "" if reply is None else reply
            if not isinstance(reply, str):
                raise TypeError
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            said = "an answer that is no chat completion"
        else:
            # Half of a surrogate pair, which JSON can spell, fits into no file.
            reply = reply.encode("utf-8", "replace").decode()
            cut = CUT_OFF if choice.get("finish_reason") == "length" else ""
            return self._endpoint.redact(reply) + cut, self._cost(raw.get("usage"), reply, messages)
        raise FailedCall(said, None, False, maybe_billed=True)

    def _cost(self, usage: Any, reply: str, messages: Sequence[Mapping[str, str]]) -> float:
        """By the endpoint's own count of tokens, else by the length of the texts."""
        if isinstance(usage, dict):
            prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
            if isinstance(prompt, int) and isinstance(completion, int) and min(prompt, completion) >= 0:
                return self._budget.cost_of(prompt, completion)
        return self._budget.cost_of(n_bytes_of(messages) / BYTES_PER_TOKEN, len(reply.encode()) / BYTES_PER_TOKEN)

    def _count_failure(self, failure: FailedCall) -> None:
        with self._lock:
            self.n_failed += 1
            self._in_a_row += 1
            if self.most_in_a_row is not None and self._in_a_row >= self.most_in_a_row:
                raise JudgeError(
                    f"{self._in_a_row} calls to the judge's endpoint failed one after the other, the last with: "
                    f"{failure}; the replies so far are kept: run again when it answers"
                ) from None
