"""One runner for a stage at a time.

After `kill -9` of DVC its child could live on, and the next `dvc repro` would start a second one on the same folders
(tried with DVC 3.67). The child dies with DVC, and should it not, this lock stops the second.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from more_repro.nb.project.terminal import warn
from more_repro.store.atomic import write_text


class StageBusy(RuntimeError):
    """Another process runs the same stage."""


@contextlib.contextmanager
def stage_lock(path: Path, stage: str, wait_s: float) -> Iterator[None]:
    """Hold the stage's lock file; wait up to `wait_s` for another holder, then raise StageBusy naming its process.

    The operating system frees the lock when its holder ends, however it ends: a file left on disk locks nobody out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _wait(lock, _holder(path), stage, wait_s)
    try:
        write_text(_name_of_holder(path), str(os.getpid()))
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, holder: str, stage: str, wait_s: float) -> None:
    warn(f"[{stage}] waits up to {wait_s:.0f} s for process {holder}, which runs the same stage")
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.2)
    except Timeout:
        raise StageBusy(
            f"stage {stage} already runs in process {holder} (lock {lock.lock_file}); "
            "wait for it to end, or end it, then start again"
        ) from None


def _holder(path: Path) -> str:
    try:
        return _name_of_holder(path).read_text(encoding="utf-8").strip() or "unknown"
    except FileNotFoundError:
        return "unknown"


def _name_of_holder(path: Path) -> Path:
    """A file of its own: whoever opens the lock's file empties it."""
    return path.with_suffix(".pid")
