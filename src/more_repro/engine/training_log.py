"""The numbers of every step of a training, and how they are shown."""

from collections.abc import Mapping, Sequence

import torch

PER_SOURCE = ("loss", "lambda", "margin", "head_gradient_norm")


def empty_log(steps: int, n_sources: int) -> dict[str, torch.Tensor]:
    """The log of a training before its first step: per source (steps, K) float64 losses, lambdas, margins and lengths
    of head gradients; learning_rate (steps,); n_tokens (steps, 2), real and padded, of all processes."""
    log = {name: torch.zeros(steps, n_sources, dtype=torch.float64) for name in PER_SOURCE}
    log["learning_rate"] = torch.zeros(steps, dtype=torch.float64)
    log["n_tokens"] = torch.zeros(steps, 2, dtype=torch.int64)
    return log


def log_history(
    log: Mapping[str, torch.Tensor], sources: Sequence[str], steps: int, every: int
) -> list[dict[str, float]]:
    """One dict for each `every` steps of the first `steps`, means over them; per source under `lambda/<source>`."""
    rows = []
    for first in range(0, steps, every):
        last = min(first + every, steps)
        means = {name: log[name][first:last].mean(dim=0).tolist() for name in PER_SOURCE}
        row = {"step": last, "learning_rate": float(log["learning_rate"][last - 1])}
        row["loss"] = float((log["lambda"] * log["loss"])[first:last].sum(dim=1).mean())
        row |= {f"{key}/{name}": x for key in means for name, x in zip(sources, means[key], strict=True)}
        rows.append(row)
    return rows
