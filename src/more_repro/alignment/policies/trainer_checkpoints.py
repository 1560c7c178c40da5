"""Checkpoints of transformers' Trainer: sealed with digests when they are whole, verified before use, two kept."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from more_repro import progress
from more_repro.engine.checkpoint import KEPT, drop_checkpoints
from more_repro.store.folder import DamagedFolderError, seal, verify_folder

_QUIET_S = 20.0  # a training shorter than this reports by its stage's line alone


class SealCheckpoints(TrainerCallback):
    """Gives each checkpoint a manifest (fingerprint, sha256 of each file), and keeps the last two.

    The Trainer writes a checkpoint file by file: one without its manifest was cut short.
    """

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        folder = Path(str(args.output_dir))
        seal(folder / f"checkpoint-{state.global_step}", self.fingerprint)
        for old in _checkpoints(folder)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


class StepLine(TrainerCallback):
    """Progress with rate, time left and loss, once a training lasts."""

    def __init__(self, name: str, after_step: Callable[[int], None] | None) -> None:
        self.name, self.after_step, self.started = name, after_step, time.monotonic()
        self.line: progress.Progress | None = None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        if "loss" not in (logs or {}) or time.monotonic() - self.started < _QUIET_S:
            return
        if self.line is None:
            self.line = progress.Progress(self.name, state.max_steps)
            self.line.resume_at(state.global_step - 1)
        self.line.step(note=f"loss {(logs or {})['loss']:.3f}")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self.after_step is not None:
            self.after_step(state.global_step)


def newest_checkpoint(folder: Path, fingerprint: str, name: str) -> Path | None:
    """The newest whole checkpoint with this fingerprint, or None; says why one is passed over.

    Damaged ones are deleted; where one is of another fingerprint (other settings, data, base or code), all are.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            found = verify_folder(path)
        except DamagedFolderError as error:
            progress.say(f"{path}: damaged ({error}); falling back to the checkpoint before, or to a fresh start")
            shutil.rmtree(path, ignore_errors=True)
            continue
        if found == fingerprint:
            progress.say(f"{name}: resumed after step {_step(path)}")
            return path
        progress.say(
            f"{path}: made with other settings, data, base, versions or code; fine-tuning starts fresh, and the "
            "earlier checkpoints are deleted"
        )
        drop_checkpoints(folder)
        return None
    return None


def _checkpoints(folder: Path) -> list[Path]:
    found = folder.glob("checkpoint-*") if folder.is_dir() else iter(())
    return sorted((path for path in found if path.name.partition("-")[2].isdigit()), key=_step)


def _step(path: Path) -> int:
    return int(path.name.partition("-")[2])
