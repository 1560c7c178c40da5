"""Finished models in the scratch folder, under their fingerprints: a stage that runs again reuses them."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from more_repro.store.folder import copy_out, is_whole, write_folder

_LOG = "log.safetensors"


def keep(kept: Path, fingerprint: str, fill: Callable[[Path], None], log: dict[str, torch.Tensor]) -> None:
    """Write a model (by `fill`) and its training log under `kept`, whole or not at all."""

    def fill_both(part: Path) -> None:
        fill(part)
        save_file(log, part / _LOG)

    write_folder(kept, fingerprint, fill_both)


def load_log(kept: Path, fingerprint: str) -> dict[str, torch.Tensor] | None:
    """The log of a finished model, or None where there is none with this fingerprint or a file of it is damaged."""
    return load_file(kept / _LOG) if is_whole(kept, fingerprint) else None


def publish(kept: Path, out: Path) -> None:
    """Copy a finished model to its place among the stage's outputs."""
    copy_out(kept, out, leave_out=(_LOG,))
