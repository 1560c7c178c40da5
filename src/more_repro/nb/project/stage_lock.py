"""One runner for a stage at a time.

After `kill -9` of DVC its child could live on, and the next `dvc repro` would start a second one on the same folders
(tried with DVC 3.67). The child dies with DVC, and should it not, this lock stops the second.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from more_repro.nb.project.terminal import warn


class StageBusy(RuntimeError):
    """Another process runs the same stage."""


@contextlib.contextmanager
def stage_lock(path: Path, stage: str, wait_s: float) -> Iterator[None]:
    """Hold the stage's lock file; wait up to `wait_s` for another holder, then raise StageBusy naming its process.

    The operating system frees the lock when its holder ends, however it ends: a file left on disk locks nobody out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        _acquire(file.fileno(), path, stage, wait_s)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquire(descriptor: int, path: Path, stage: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8").strip() or "unknown"
            if time.monotonic() >= deadline:
                raise StageBusy(
                    f"stage {stage} already runs in process {holder} (lock {path}); "
                    "wait for it to end, or end it, then start again"
                ) from None
            if not told:
                warn(f"[{stage}] waits up to {wait_s:.0f} s for process {holder}, which runs the same stage")
                told = True
            time.sleep(0.2)
