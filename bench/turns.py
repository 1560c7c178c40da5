"""Methods that take turns: each lives in a process of its own on the same core and works only when it is asked to."""

import contextlib
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch

import machine


@dataclass(slots=True)
class Turn:
    """The worker's side: wait for a turn, mark its begin and end. Dropped turns end the worker."""

    connection: Connection
    device: torch.device
    memory: bool  # measure the highest resident size (CPU) of each turn
    _start: float = 0.0
    _before: int = 0
    ended: bool = False

    def wait(self) -> bool:
        """Block until the next turn; False when there is none."""
        try:
            self.ended = self.connection.recv() != "go"
        except EOFError:
            self.ended = True
        return not self.ended

    def begin(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        elif self.memory:
            machine.reset_peak()
            self._before = machine.resident_bytes()
        self._start = machine.Clock(self.device)()

    def end(self, **found: Any) -> None:
        """Report the seconds, bytes above the size before, and what the method itself found."""
        seconds = machine.Clock(self.device)() - self._start
        peak = 0
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated()
        elif self.memory:
            peak = machine.peak_bytes()
        self.connection.send({"seconds": seconds, "peak": peak, "above": peak - self._before, **found})


@dataclass(slots=True)
class Worker:
    """The asking side of one method."""

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    device: torch.device
    memory: bool = False
    fresh: bool = False  # a new interpreter instead of a fork of this one
    hello: Any = None  # what the method says once it is ready
    turns: list[dict[str, Any]] = field(default_factory=list)
    _connection: Connection | None = None
    _process: Any = None

    def start(self) -> None:
        context = multiprocessing.get_context("spawn" if self.fresh else "fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(self.target, theirs, self.device, self.memory, self.arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        self.hello = self._receive()

    def turn(self, keep: bool = True) -> dict[str, Any]:
        """Let the method make one step; the first one warms up and is not kept."""
        assert self._connection is not None
        self._connection.send("go")
        found = self._receive()
        if keep:
            self.turns.append(found)
        return found

    def stop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(BrokenPipeError):  # it may have made its last step already
                self._connection.send("stop")
            self._process.join(20)
            self._process.kill()
            self._connection = None

    def _receive(self) -> Any:
        assert self._connection is not None
        try:
            return self._connection.recv()
        except EOFError:
            raise RuntimeError(f"{self.name}: the process ended early; its error stands above") from None


def _run(
    target: Callable[..., None], connection: Connection, device: torch.device, memory: bool, arguments: tuple[Any, ...]
) -> None:
    machine.one_thread()
    target(Turn(connection, device, memory), *arguments)
