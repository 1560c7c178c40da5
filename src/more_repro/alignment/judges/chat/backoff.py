"""When a chat judge may be asked again: what its endpoint says, else exponential back-off with full jitter."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import numpy as np

from more_repro.alignment.judges.errors import JudgeError

FIRST_S, LONGEST_S = 1.0, 60.0  # bounds of the first and of the longest back-off
MOST_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the judge sees it; tests give their own. sleep: None = a wait that a stop of the run ends."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], object] | None = None


class Waiting:
    """Shared by the threads of a run: where the endpoint asks one of them to wait, all wait."""

    def __init__(self, rng: np.random.Generator, clock: Clock, stop: threading.Event) -> None:
        self._rng, self._clock = rng, clock
        self._sleep = clock.sleep or stop.wait
        self._lock = threading.Lock()
        self._not_before = clock.monotonic()

    def after_failure(self, n_failed: int, retry_after_s: float | None) -> None:
        """Wait after the n-th failed call in a row for one question, or note when all threads may go on.

        Raises JudgeError where the endpoint asks for more than MOST_RETRY_AFTER_S.
        """
        if retry_after_s is None:
            self._sleep(self._jitter(min(LONGEST_S, FIRST_S * 2.0 ** (n_failed - 1))))
            return
        if retry_after_s > MOST_RETRY_AFTER_S:
            raise JudgeError(
                f"the judge's endpoint asks to wait {retry_after_s / 3600:.1f} hours (Retry-After); "
                "the replies so far are kept: run again then"
            )
        with self._lock:
            self._not_before = max(self._not_before, self._clock.monotonic() + retry_after_s)

    def until_allowed(self) -> None:
        """Wait as the endpoint asked, and up to a second more, so that the threads do not all come back at once."""
        while True:
            with self._lock:
                left = self._not_before - self._clock.monotonic()
            if left <= 0:
                return
            if self._sleep(left + self._jitter(1.0)):  # Event.wait says True: the run stops
                return

    def _jitter(self, most: float) -> float:
        with self._lock:
            return float(self._rng.uniform(0.0, most))


def retry_after_s(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as an HTTP date; None without one that can be read."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - clock.wall()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if np.isfinite(seconds) else None
