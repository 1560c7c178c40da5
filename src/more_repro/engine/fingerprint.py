"""The name of a training: equal names, equal numbers."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from more_repro.engine.batching.step_layout import StepPairs
from more_repro.engine.distributed import Group
from more_repro.engine.weighting import weighting_packages
from more_repro.store.code_key import code_digest
from more_repro.store.digests import digest


def training_fingerprint(settings: Mapping[str, Any], pairs: StepPairs, model: torch.nn.Module, group: Group) -> str:
    """sha256 over settings, the tokens of every step, the model's first weights, this package's code, the versions of
    torch, transformers and what the weighting stands on, the number of processes, and on a CPU of threads: sums split
    otherwise round otherwise."""
    tokens = [pairs.sequences.flat, pairs.sequences.starts, pairs.chosen, pairs.rejected]
    code = code_digest(sorted(Path(__file__).parent.rglob("*.py")))
    on_gpu = torch.cuda.is_available() and not settings.get("use_cpu", False)
    threads = None if on_gpu else torch.get_num_threads()
    packages = weighting_packages(settings["weighting"])
    versions = [torch.__version__, version("transformers"), *(version(name) for name in packages)]
    facts = repr([sorted(settings.items()), versions, group.size, on_gpu, threads])
    return digest([facts, code, tensors_digest(dict(enumerate(tokens))), tensors_digest(model.state_dict())])


def tensors_digest(tensors: Mapping[Any, torch.Tensor]) -> str:
    """sha256 over names, shapes, formats and bytes."""
    hasher = hashlib.sha256()
    for name, tensor in tensors.items():
        hasher.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
