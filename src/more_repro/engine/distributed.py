"""Processes that train one reward model together: who they are, and sums over them. accelerate makes the group."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from more_repro.lm.device import pick_device

_BUCKET_BYTES = 64 << 20  # gradients are summed in flat pieces of about this size: few messages, little memory


class Group(Protocol):
    """The processes of one training."""

    @property
    def size(self) -> int:
        """How many processes."""

    @property
    def rank(self) -> int:
        """This one's number, from 0."""

    @property
    def device(self) -> torch.device:
        """Where this process computes."""

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over processes of a tensor of one shape and type; the same bits on each of them."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One process: sums are what they are."""

    size: int = 1
    rank: int = 0

    @property
    def device(self) -> torch.device:
        return pick_device()

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


ALONE = Alone()


class Processes:
    """The processes that `accelerate launch` or `torchrun` started this one among: NCCL on GPUs, gloo on CPUs.

    Started by neither, it is a group of one. cpu: stay on the CPU where there is a GPU.
    """

    def __init__(self, cpu: bool = False) -> None:
        from accelerate import PartialState  # here: a process that trains alone needs no process group

        self._state = PartialState(cpu=cpu or not torch.cuda.is_available())

    @property
    def size(self) -> int:
        return int(self._state.num_processes)

    @property
    def rank(self) -> int:
        return int(self._state.process_index)

    @property
    def device(self) -> torch.device:
        return self._state.device

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        from accelerate.utils import reduce

        if self.size == 1:
            return tensor
        summed: torch.Tensor = reduce(tensor.to(self.device), reduction="sum")
        return summed.to(tensor.device)

    def close(self) -> None:
        """Leave the group; nothing can be summed afterwards."""
        self._state.destroy_process_group()


def sum_gradients(parameters: Iterable[torch.nn.Parameter], group: Group) -> None:
    """Put the sum over processes of every parameter's gradient in its .grad.

    A parameter without a gradient counts as zero where another process has one, and stays without where none has.
    """
    if group.size == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    found = group.sum(torch.tensor([float(parameter.grad is not None) for parameter in trained]))
    used = [parameter for parameter, count in zip(trained, found.tolist(), strict=True) if count]
    for bucket in _buckets(used):
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        flat = group.sum(torch.cat([part.flatten() for part in parts]))
        pieces = flat.split([part.numel() for part in parts])
        for parameter, piece in zip(bucket, pieces, strict=True):
            parameter.grad = piece.reshape(parameter.shape).clone()


def copy_from_first(parameters: Iterable[torch.nn.Parameter], group: Group) -> None:
    """Give every process the first one's values: models made in different processes may have different new heads."""
    if group.size == 1:
        return
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(group.sum(parameter if group.rank == 0 else torch.zeros_like(parameter)))


def _buckets(parameters: Iterable[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    """Parameters in their order, cut where a piece is full or the number format changes."""
    bucket: list[torch.nn.Parameter] = []
    n_bytes = 0
    for parameter in parameters:
        if bucket and (n_bytes >= _BUCKET_BYTES or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, n_bytes = [], 0
        bucket.append(parameter)
        n_bytes += parameter.numel() * parameter.element_size()
    if bucket:
        yield bucket


def wait_for_all(group: Group) -> None:
    """Come back when every process is here: what the first one wrote is then there for all."""
    group.sum(torch.zeros(1))
