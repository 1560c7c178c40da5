"""The name of a training: equal names, equal numbers."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import torch

from more_repro.engine.batching.step_layout import StepPairs
from more_repro.engine.config import MoreConfig
from more_repro.engine.distributed import Group
from more_repro.engine.losses import LOSSES
from more_repro.engine.weighting import WEIGHTINGS, weighting_module, weighting_packages
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest


def training_fingerprint(args: MoreConfig, pairs: StepPairs, model: torch.nn.Module, group: Group) -> str:
    """sha256 over settings, the tokens of every step, the model's first weights, the code that trains it, the versions
    of torch, transformers and the weighting's packages, the number of processes, and on a CPU of threads: sums split
    otherwise round otherwise.
    """
    tokens = [pairs.sequences.flat, pairs.sequences.starts, pairs.chosen, pairs.rejected]
    code = training_code(args.weighting, args.losses, "more_repro.engine.trainer")
    on_gpu = torch.cuda.is_available() and not args.use_cpu
    threads = None if on_gpu else torch.get_num_threads()
    packages = ("transformers", *weighting_packages(args.weighting))
    facts = repr(
        [sorted(args.numbers().items()), torch.__version__, *map(version, packages), group.size, on_gpu, threads]
    )
    return digest([facts, code, tensors_digest(dict(enumerate(tokens))), tensors_digest(model.state_dict())])


def training_code(weighting: str, losses: Iterable[str], *modules: str, without: tuple[str, ...] = ()) -> str:
    """Digest of what modules of this package do that train with a weighting and loss terms: an edit of another
    weighting or term changes nothing. without: see `code_key`. Raises ValueError for a name that is not known."""
    own = {weighting_module(weighting), *map(LOSSES.module, losses)}
    others = {*WEIGHTINGS.modules(), *LOSSES.modules()} - own
    return code_key(*modules, *sorted(own), without=(*CHANGES_NO_NUMBER, *without, *sorted(others)))


def tensors_digest(tensors: Mapping[Any, torch.Tensor]) -> str:
    """sha256 over names, shapes, formats and bytes."""
    hasher = hashlib.sha256()
    for name, tensor in tensors.items():
        hasher.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
