"""The stage's own log: what a notebook writes to standard error, shown as it comes and kept in a file."""

from pathlib import Path
from types import TracebackType

from more_repro.nb.project.terminal import warn


class LiveLog:
    """Cuts a stream of text chunks into lines, `[stage] line` on the terminal and the bare line in the file.

    A line that was redrawn by carriage returns (a progress bar) is shown once, in its last state.
    """

    def __init__(self, stage: str, path: Path) -> None:
        self.stage = stage
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._rest = ""

    def feed(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        line = line.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
        if line:
            warn(f"[{self.stage}] {line}")
            self._file.write(line + "\n")
            self._file.flush()

    def __enter__(self) -> "LiveLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line(self._rest)
        self._file.close()
