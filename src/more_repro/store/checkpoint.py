"""Checkpoints of a running training: written whole or not at all, verified before use, the last two kept."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from more_repro import progress
from more_repro.store.folder import DamagedFolderError, verify_folder, write_folder

KEPT = 2


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Everything a resumed run needs to give the same numbers as one that was never stopped.

    step: steps done. model: the parameters that are trained. optimizer: torch's state_dict of the optimizer. log,
    memory: named tensors; memory is what else later steps depend on, such as smoothed gradients or the state of a
    random generator. Learning rate and data of a step are functions of the step, so neither is kept.
    """

    step: int
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    log: dict[str, torch.Tensor]
    memory: dict[str, torch.Tensor]


def state_of(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    log: dict[str, torch.Tensor],
    memory: dict[str, torch.Tensor],
) -> TrainingState:
    """The state of a training after `step` steps: views of its tensors, to be saved before the next step."""
    trained = {name: parameter.detach() for name, parameter in _trained(model).items()}
    return TrainingState(step, trained, optimizer.state_dict(), log, memory)


def restore(model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    """Put weights and the optimizer's moments back. Raises ValueError where the state is of other weights."""
    parameters = _trained(model)
    if parameters.keys() != state.model.keys():
        raise ValueError(f"a checkpoint of step {state.step} holds other weights than this training changes")
    with torch.no_grad():
        for name, tensor in state.model.items():
            parameters[name].copy_(tensor)
    now_groups, kept_groups = optimizer.state_dict()["param_groups"], state.optimizer["param_groups"]
    groups = [{**now, "params": kept["params"]} for now, kept in zip(now_groups, kept_groups, strict=True)]
    optimizer.load_state_dict({"state": state.optimizer["state"], "param_groups": groups})


def save_checkpoint(folder: Path, fingerprint: str, state: TrainingState) -> None:
    """Write folder/step<step>, and keep of all others the one before it alone.

    A later one was passed over as damaged, or training would not be at this step.
    """

    def fill(part: Path) -> None:
        save_file({name: t.contiguous() for name, t in state.model.items()}, part / "model.safetensors")
        save_file(_flatten(state.optimizer["state"]), part / "optimizer.safetensors")
        save_file(dict(state.log), part / "log.safetensors")
        save_file(dict(state.memory), part / "memory.safetensors")
        groups = [{k: v for k, v in group.items() if k == "params"} for group in state.optimizer["param_groups"]]
        (part / "state.json").write_text(json.dumps({"step": state.step, "parameters": groups}), encoding="utf-8")

    write_folder(folder / _name(state.step), fingerprint, fill)
    written = [path for path in _steps(folder) if path.name <= _name(state.step)]
    for path in _steps(folder):
        if path not in written[-KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def load_checkpoint(folder: Path, fingerprint: str, *, delete_foreign: bool = False) -> TrainingState | None:
    """The newest whole checkpoint with this fingerprint, or None; says why a checkpoint is passed over.

    Where one has another fingerprint (other settings, data, base or code), the folder is moved aside under a name that
    is free, <folder>.<start of that fingerprint>.old; delete_foreign: it is deleted, for a scratch folder.
    """
    for path in reversed(_steps(folder)):
        try:
            found = verify_folder(path)
            if found != fingerprint:
                fate = "deleted" if delete_foreign else f"kept as {_moved_aside(folder, found).name}"
                if delete_foreign:
                    drop_checkpoints(folder)
                progress.say(
                    f"{path}: made with other settings, data, base, versions or code; training starts fresh, and the "
                    f"earlier checkpoints are {fate}"
                )
                return None
            return _load(path)
        except (DamagedFolderError, OSError) as error:
            progress.say(f"{path}: damaged ({error}); falling back to the checkpoint before, or to a fresh start")
    return None


def read_checkpoint(folder: Path, step: int) -> TrainingState:
    """A checkpoint that another process has verified. Raises FileNotFoundError where this one does not see it."""
    path = folder / _name(step)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: all processes of a training must see the folder of its checkpoints")
    return _load(path)


def has_checkpoints(folder: Path) -> bool:
    """Whether an earlier run left a checkpoint there."""
    return bool(_steps(folder))


def drop_checkpoints(folder: Path) -> None:
    """Forget the checkpoints of a training that is finished."""
    shutil.rmtree(folder, ignore_errors=True)


def _moved_aside(folder: Path, fingerprint: str) -> Path:
    """Rename the folder to a free name, and return that."""
    name, number = f"{folder.name}.{fingerprint[:8]}.old", 1
    target = folder.with_name(name)
    while target.exists():
        number += 1
        target = folder.with_name(f"{name}{number}")
    return folder.rename(target)


def _name(step: int) -> str:
    return f"step{step:08d}"


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step[0-9]*")) if folder.is_dir() else []


def _load(path: Path) -> TrainingState:
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    optimizer = {
        "state": _unflatten(_copies(load_file(path / "optimizer.safetensors"))),
        "param_groups": state["parameters"],
    }
    return TrainingState(
        step=state["step"],
        model=load_file(path / "model.safetensors"),
        optimizer=optimizer,
        log=_copies(load_file(path / "log.safetensors")),
        memory=_copies(load_file(path / "memory.safetensors")),
    )


def _trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of their own: those of load_file are pages of a file that is deleted while they are written to."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _flatten(state: dict[int, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {f"{number}.{name}": t for number, tensors in state.items() for name, t in tensors.items()}


def _unflatten(flat: dict[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in flat.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    return state
