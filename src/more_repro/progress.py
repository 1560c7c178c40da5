"""Progress that reads well in a log: a line every few seconds at most, with a rate and the time still to go."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def say(line: str) -> None:
    """One line to the log: the terminal, or the stage's own log when a notebook runs."""
    import sys

    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@dataclass(slots=True)
class Progress:
    """Counts work done; `step` prints `label 12/30 (40 %), 3.1 pairs/s, 0:42 left, loss 0.61` about every 5 %.

    Lines come at least `every_s` seconds apart, and the last one always comes.
    """

    label: str
    total: int
    unit: str = "steps"
    every_s: float = 5.0
    write: Callable[[str], None] = say
    done: int = 0
    _started: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)
    _last_share: float = 0.0
    _first: int | None = None

    def step(self, amount: int = 1, note: str = "") -> None:
        self._first = self.done if self._first is None else self._first
        self.done += amount
        now = time.monotonic()
        share = self.done / max(self.total, 1)
        due = now - self._last >= self.every_s and share - self._last_share >= 0.05
        if due or self.done >= self.total:
            self._last, self._last_share = now, share
            self.write(self.line(now) + (f", {note}" if note else ""))

    def resume_at(self, done: int) -> None:
        """Start from work that an earlier run did; it does not count in the rate."""
        self.done = done

    def line(self, now: float) -> str:
        seconds = max(now - self._started, 1e-9)
        rate = (self.done - (self._first or 0)) / seconds
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        text = f"{self.label} {self.done}/{self.total} ({self.done / max(self.total, 1):.0%}), {rate:.3g} {self.unit}/s"
        return text + (f", {_clock(left)} left" if self.done < self.total else f", took {_clock(seconds)}")


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
