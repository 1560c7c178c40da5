"""Reward models that several processes train together: starts them and shows what they say. Light to import."""

import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from more_repro import progress
from more_repro.reward.jobs import PRELOAD, TrainJob
from more_repro.workers import run_jobs

_SHOWN_LINES = 20  # of the processes' last words, in the error
_WAIT_S = 20


class TogetherError(RuntimeError):
    """Processes that train together ended before their work was done; the message holds their last lines."""


def train_together(jobs: Sequence[TrainJob], label: str) -> None:
    """Train the jobs that ask for more than one process, one after the other, each by all of its processes.

    The models are kept in scratch under their fingerprints, where `train_reward_model` finds them. Nothing is started
    for jobs that are finished or that one process trains. Raises TogetherError.
    """
    together = [job for job in jobs if job.rm.processes > 1]
    done: list[bool] = run_jobs(
        "more_repro.reward.training:is_finished", together, f"{label}: which are finished", PRELOAD
    )
    todo = [job for job, finished in zip(together, done, strict=True) if not finished]
    for size in sorted({job.rm.processes for job in todo}):
        with tempfile.TemporaryDirectory(prefix="more-repro-") as folder:
            file = Path(folder) / "jobs.pickle"
            file.write_bytes(pickle.dumps([job for job in todo if job.rm.processes == size]))
            _run([sys.executable, "-u", "-m", "more_repro.reward.torchrun_main", str(size), str(file), label])


def _run(command: list[str]) -> None:
    """Run a command, its output shown line by line as it comes, and end it when this process is interrupted."""
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                progress.say(last[-1])
            status = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if status != 0:
        raise TogetherError(
            f"processes that train together ended with status {status}; their last lines:\n" + "\n".join(last)
        )
