"""Where models run, in which number format, and on how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


def pick_device() -> torch.device:
    """The first visible GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_of(precision: Literal["fp32", "bf16"]) -> torch.dtype:
    """The torch format of a precision named in params. Raises ValueError for any other name."""
    known = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if precision not in known:
        raise ValueError(f"precision must be one of {', '.join(known)}, found {precision!r}")
    return known[precision]


@contextmanager
def pinned_threads(count: int = 1) -> Iterator[None]:
    """Run the block on `count` CPU threads and give the caller's number back.

    A sum split over another number of threads rounds differently, so that the same seed would give other bits. One
    thread is also the fastest for models of a few thousand to a million parameters.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
