"""The processes that train reward models together: `python -m more_repro.reward.torchrun_main PROCESSES JOBS LABEL`.

Started so, it starts torchrun; torchrun starts this module again, once for each process, without arguments.
"""

import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from more_repro.engine.distributed import Processes
from more_repro.progress import Progress
from more_repro.reward.jobs import TrainJob
from more_repro.reward.training import train_reward_model
from more_repro.workers import die_with_parent

_JOBS, _LABEL = "MORE_REPRO_TOGETHER_JOBS", "MORE_REPRO_TOGETHER_LABEL"


def start(size: int, jobs: Path, label: str) -> None:
    """Run torchrun in this process: it ends with its parent, and its processes end with it."""
    from torch.distributed.run import main

    die_with_parent()
    os.environ[_JOBS], os.environ[_LABEL] = str(jobs), label
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as train_reward_model pins it; torchrun would warn
    main(["--standalone", "--nproc-per-node", str(size), "--module", "more_repro.reward.torchrun_main"])


def train(jobs: Sequence[TrainJob], label: str) -> None:
    """Train the jobs as one of the processes that torchrun started."""
    size = int(os.environ["WORLD_SIZE"])
    if torch.cuda.is_available() and torch.cuda.device_count() < size:
        raise RuntimeError(f"rm.processes asks for {size} processes, this machine has {torch.cuda.device_count()} GPUs")
    group = Processes()
    progress = Progress(label, len(jobs), unit="models")
    for job in jobs:
        train_reward_model(job, group=group)
        if group.rank == 0:
            progress.step()
    group.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        start(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    else:
        die_with_parent()
        # A file of our own, written by the process that started these.
        train(pickle.loads(Path(os.environ[_JOBS]).read_bytes()), os.environ[_LABEL])  # noqa: S301
