"""Memory of one optimizer step, ours against TRL's, each in a process of its own."""

from dataclasses import dataclass

import torch

import engine_peer
import trl_peer
from pair_tokens import Steps
from shapes import SMALL, make_model
from turns import Worker

MATCHED_MICRO_BATCH = 5  # pairs; the ratio is against this one
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class StepMemories:
    """ratio: ours, where it may take what TRL took at MATCHED_MICRO_BATCH, over that. limit_bytes: what our activations
    were allowed for it."""

    ratio: float
    limit_bytes: int


def measure_memory(steps: Steps, micro_batches: tuple[int, ...], seed: int) -> StepMemories:
    """Highest resident size above the size before the first optimizer step, each in a fresh process, printed: TRL at
    each micro-batch (pairs), ours in the mode that is timed, and ours where it may take what TRL took."""
    theirs = {
        micro: _above(Worker(f"TRL {micro}", trl_peer.run, (SMALL, steps, micro, "fp32", False, seed), CPU,
                             memory=True, fresh=True))[0]
        for micro in micro_batches
    }  # fmt: skip
    limit = int(theirs[MATCHED_MICRO_BATCH] - _optimizer_bytes())
    timed, timed_mode = _ours(steps, None, seed)
    matched, matched_mode = _ours(steps, limit, seed)
    print("memory above the size before the first step, fp32, gradients and optimizer state in it:")
    for micro, above in theirs.items():
        against = f"ours timed {timed / above:.2f}x, ours matched {matched / above:.2f}x of it"
        print(f"  TRL in micro-batches of {micro}: {above / 2**20:.0f} MiB; {against}")
    print(f"  ours as timed ({timed_mode}): {timed / 2**20:.0f} MiB")
    print(f"  ours matched, allowed what TRL {MATCHED_MICRO_BATCH} took ({matched_mode}): {matched / 2**20:.0f} MiB")
    return StepMemories(matched / theirs[MATCHED_MICRO_BATCH], limit)


def _ours(steps: Steps, limit_bytes: int | None, seed: int) -> tuple[int, str]:
    arguments = (SMALL, steps, "fp32", limit_bytes, seed)
    return _above(Worker("ours", engine_peer.run, arguments, CPU, memory=True, fresh=True))


def _above(worker: Worker) -> tuple[int, str]:
    worker.start()
    above = worker.turn()["above"]
    worker.stop()
    return above, worker.hello.get("mode", "")


def _optimizer_bytes() -> int:
    """Gradients and AdamW's two moments: what every step needs besides its activations."""
    return 12 * sum(parameter.numel() for parameter in make_model(SMALL, 0).parameters())
