"""The name of a training: equal names, equal numbers."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from more_repro.closure import code_digest
from more_repro.engine.batches import StepPairs
from more_repro.engine.digests import digest
from more_repro.engine.distributed import Group


def training_fingerprint(settings: Mapping[str, Any], pairs: StepPairs, model: torch.nn.Module, group: Group) -> str:
    """sha256 over settings, the tokens of every step, the model's first weights, this package's code, torch's version
    and the number of processes."""
    tokens = [pairs.sequences.flat, pairs.sequences.starts, pairs.chosen, pairs.rejected]
    code = code_digest(sorted(Path(__file__).parent.rglob("*.py")))
    facts = repr([sorted(settings.items()), torch.__version__, group.size, torch.cuda.is_available()])
    return digest([facts, code, tensors_digest(dict(enumerate(tokens))), tensors_digest(model.state_dict())])


def tensors_digest(tensors: Mapping[Any, torch.Tensor]) -> str:
    """sha256 over names, shapes, formats and bytes."""
    hasher = hashlib.sha256()
    for name, tensor in tensors.items():
        hasher.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
