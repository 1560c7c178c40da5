"""One pinned core, its clock, its memory, and the matrix-product speed it reaches."""

import os
import statistics
import time
from pathlib import Path

import torch


def pin_to_one_core() -> str:
    """Keep this process and its children on one core and one thread; says what was done. Call before torch computes."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    one_thread()
    try:
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError) as error:
        return f"one thread, not pinned ({error})"
    return f"one thread, pinned to core {core}"


def one_thread() -> None:
    """Compute on one thread."""
    torch.set_num_threads(1)


class Clock:
    """CPU seconds of this process; on a GPU wall seconds between two points at which it has nothing left to do."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()


def resident_bytes() -> int:
    """Resident size of this process now."""
    return _status("VmRSS")


def reset_peak() -> None:
    """Forget the highest resident size so far. Raises OSError where the kernel does not offer it."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Highest resident size since reset_peak."""
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise OSError(f"/proc/self/status has no {name}")


def matmul_speeds(
    hidden: int, inner: int, tokens: int, dtype: torch.dtype, device: torch.device, repeats: int = 15
) -> dict[str, float]:
    """FLOPs per second of the model's matrix shapes and of one large square: the median of `repeats` products each."""
    shapes = [(tokens, hidden, 3 * hidden), (tokens, hidden, inner), (tokens, inner, hidden), (hidden, tokens, inner)]
    shapes.append((1024, 1024, 1024) if device.type == "cpu" else (8192, 8192, 8192))
    clock = Clock(device)
    speeds = {}
    for n, k, m in shapes:
        a, b = (torch.randn(shape, device=device).to(dtype) for shape in ((n, k), (k, m)))
        a @ b
        seconds = []
        for _ in range(repeats):
            start = clock()
            a @ b
            seconds.append(clock() - start)
        speeds[f"{n}x{k}x{m}"] = 2 * n * k * m / statistics.median(seconds)
    return speeds
