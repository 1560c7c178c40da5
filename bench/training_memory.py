"""Memory of one optimizer step, ours against TRL's, each in a process of its own."""

import torch

import engine_peer
import trl_peer
from pair_tokens import Steps
from shapes import SMALL, make_model
from turns import Worker

MEMORY_MICRO_BATCH = 5  # pairs
CPU = torch.device("cpu")


def memory_ratio(steps: Steps, seed: int) -> float:
    """Highest resident size above the size before the first optimizer step, fresh processes: ours over TRL's.

    Ours runs in the mode that the engine chooses when it may take what TRL took.
    """
    arguments = (SMALL, steps, MEMORY_MICRO_BATCH, "fp32", False, seed)
    theirs, _ = _above(Worker(f"TRL {MEMORY_MICRO_BATCH}", trl_peer.run, arguments, CPU, memory=True, fresh=True))
    limit = int(theirs - _optimizer_bytes())
    ours, mode = _above(
        Worker("ours", engine_peer.run, (SMALL, steps, "fp32", limit, seed), CPU, memory=True, fresh=True)
    )
    print(
        "memory above the size before the first step, gradients and optimizer state in it: "
        f"ours ({mode}) {ours / 2**20:.0f} MiB, TRL in micro-batches of {MEMORY_MICRO_BATCH} {theirs / 2**20:.0f} MiB"
    )
    return ours / theirs


def _above(worker: Worker) -> tuple[int, str]:
    worker.start()
    above = worker.turn()["above"]
    worker.stop()
    return above, worker.hello.get("mode", "")


def _optimizer_bytes() -> int:
    """Gradients and AdamW's two moments: what every step needs besides its activations."""
    return 12 * sum(parameter.numel() for parameter in make_model(SMALL, 0).parameters())
