"""Finished models in the scratch folder, under their fingerprints: a stage that runs again reuses them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from more_repro import progress
from more_repro.store.folder import MANIFEST, DamagedFolderError, verify_folder, write_folder

_LOG = "log.safetensors"


def keep(kept: Path, fingerprint: str, fill: Callable[[Path], None], log: dict[str, torch.Tensor]) -> None:
    """Write a model (by `fill`) and its training log under `kept`, whole or not at all."""

    def fill_both(part: Path) -> None:
        fill(part)
        save_file(log, part / _LOG)

    write_folder(kept, fingerprint, fill_both)


def load_log(kept: Path, fingerprint: str) -> dict[str, torch.Tensor] | None:
    """The log of a finished model, or None where there is none with this fingerprint or a file of it is damaged."""
    if not kept.is_dir():
        return None
    try:
        if verify_folder(kept) != fingerprint:
            return None
    except DamagedFolderError as error:
        progress.say(f"{kept}: damaged ({error}); it is made again")
        return None
    return load_file(kept / _LOG)


def publish(kept: Path, out: Path) -> None:
    """Copy a finished model to its place among the stage's outputs.

    A copy, never a link: DVC takes outputs into its cache and may make them read-only.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(kept, part, ignore=shutil.ignore_patterns(_LOG, MANIFEST))
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
