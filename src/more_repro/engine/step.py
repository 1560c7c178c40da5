"""One training step: states of K sources' pairs, lambda over the whole batch, exact gradient of the weighted loss."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from more_repro.engine.batching.activation_memory import Mode, can_checkpoint, token_budget_of
from more_repro.engine.batching.attention import row_attention, supports_rows
from more_repro.engine.batching.packed_rows import Rows
from more_repro.engine.batching.shared_prefix import Groups, alone, common_prefix_lengths, pair_groups
from more_repro.engine.batching.token_pairs import TokenSequences
from more_repro.engine.distributed import ALONE, Group
from more_repro.engine.head_gradients import HeadStep, StepRule, head_step
from more_repro.engine.model import autocast, head_weight, hidden_states, mask_dtype, row_batches


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step leaves in the log; losses, lambdas, margins and head_gradient_norms (K,), on CPU, of all processes.

    Of this process: n_tokens real tokens went through the backbone, a common prefix once; n_padded_tokens with the
    padding; n_shared_tokens more would have without sharing.
    """

    losses: torch.Tensor
    lambdas: torch.Tensor
    margins: torch.Tensor
    head_gradient_norms: torch.Tensor
    n_tokens: int
    n_padded_tokens: int
    n_shared_tokens: int


def step_gradients(
    model: PreTrainedModel,
    sequences: TokenSequences,
    rows: torch.Tensor,
    rule: StepRule,
    *,
    token_budget: int | None = None,
    mode: Mode = "graph",
    precision: str = "fp32",
    share_prefix: bool = True,
    prefix_lengths: torch.Tensor | None = None,
    group: Group = ALONE,
) -> StepOutcome:
    """Add this process's part of the gradient of sum_k lambda_k L_k to the parameters' .grad.

    rows: (2, K, B) rows of `sequences`, chosen then rejected. prefix_lengths: (K, B) tokens that the sides of a pair
    have in common, where the caller knows them. token_budget: tokens of a micro-batch, None for what suits the device.
    The gradient is the same in all modes: `graph` keeps every micro-batch's graph until lambda is known; `checkpoint`
    keeps one state a layer and runs layers again in the backward pass; `replay` runs the backbone once without and
    once with a graph. Dropout must be off (eval mode), or two passes would differ.
    Raises NonFiniteLossError before any backward pass, naming the sources; ValueError for a setting that is not known
    or cannot be had of this model.
    """
    _check(model, mode)
    budget = token_budget_of(token_budget, model.device, precision)
    groups = _groups(sequences, rows, share_prefix, prefix_lengths)
    made = row_batches(model, sequences, rows.reshape(-1), groups, budget)
    batches = [batch.to(model.device, mask_dtype(model, precision)) for batch in made]
    with row_attention(model), _checkpointing(model, mode):
        head = _backbone_gradients(model, batches, rows.shape, rule, mode, precision, group)
    return StepOutcome(
        losses=head.losses.cpu(),
        lambdas=head.lambdas.cpu(),
        margins=head.margins.cpu(),
        head_gradient_norms=head.head_gradient_norms.cpu(),
        n_tokens=sum(batch.n_tokens for batch in batches),
        n_padded_tokens=sum(batch.n_computed for batch in batches),
        n_shared_tokens=sum(batch.n_shared for batch in batches),
    )


def _check(model: PreTrainedModel, mode: Mode) -> None:
    if model.training:
        raise ValueError("the step needs a model in eval mode: dropout would make its passes differ")
    if mode not in get_args(Mode):
        raise ValueError(f"mode is one of {', '.join(get_args(Mode))}, found {mode!r}")
    if mode == "checkpoint" and not can_checkpoint(model.config):
        raise ValueError(
            f"mode 'checkpoint' would switch on the dropout that the config of this {model.config.model_type} names; "
            "use 'graph' or 'replay', or set its dropout rates to 0"
        )


def _groups(
    sequences: TokenSequences, rows: torch.Tensor, share_prefix: bool, prefix_lengths: torch.Tensor | None
) -> Groups:
    """Pairs that share a prefix together; rows (2, K, B)."""
    if not share_prefix:
        return alone(rows.numel())
    if prefix_lengths is None:
        prefix_lengths = common_prefix_lengths(sequences, *rows.reshape(2, -1))
    return pair_groups(prefix_lengths.reshape(-1))


def _backbone_gradients(
    model: PreTrainedModel,
    batches: Sequence[Rows],
    shape: torch.Size,
    rule: StepRule,
    mode: Mode,
    precision: str,
    group: Group,
) -> HeadStep:
    """Forward to z, the head's part with lambda, and backward through the backbone from dL/dz."""
    embeddings = _Embeddings(model)
    keep_graph = mode != "replay"

    def states(batch: Rows) -> torch.Tensor:
        with autocast(model.device, precision):
            return hidden_states(model, batch, embeddings(batch))

    with torch.set_grad_enabled(keep_graph):
        parts = [states(batch) for batch in batches]
    z = parts[0].new_empty(shape.numel(), parts[0].shape[1])
    for batch, part in zip(batches, parts, strict=True):
        z[batch.places] = part.detach()
    weight = head_weight(model)
    head = head_step(z.reshape(*shape, -1), weight.detach().to(z.dtype), rule, group)
    z_gradient = head.z_gradient.reshape_as(z)
    for number, batch in enumerate(batches):
        part = parts[number] if keep_graph else states(batch)
        parts[number] = z  # lets go of the graph
        if part.requires_grad:  # not where the head alone is trained
            part.backward(z_gradient[batch.places])
    embeddings.backward()
    if weight.requires_grad:
        weight.backward(head.head_gradient.to(weight.dtype))
    return head


class _Embeddings:
    """Token embeddings of micro-batches, with one backward pass for all of them.

    The gradient of an embedding is as large as the vocabulary: one for each micro-batch, added up, would cost more
    than a layer of a small model.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._table = model.get_input_embeddings()
        self._trained = any(parameter.requires_grad for parameter in self._table.parameters())
        self._ids: list[torch.Tensor] = []
        self._gradients: list[torch.Tensor] = []

    def __call__(self, batch: Rows) -> torch.Tensor:
        with torch.no_grad():
            embedded = self._table(batch.ids)
        if torch.is_grad_enabled() and self._trained:
            embedded.requires_grad_().register_hook(partial(self._keep, batch.ids))
        return embedded

    def backward(self) -> None:
        """Add the gradient of all micro-batches to the table's."""
        if self._ids:
            self._table(torch.cat(self._ids)).backward(torch.cat(self._gradients))

    def _keep(self, ids: torch.Tensor, gradient: torch.Tensor) -> None:
        self._ids.append(ids.flatten())
        self._gradients.append(gradient.flatten(0, 1))


@contextmanager
def _checkpointing(model: PreTrainedModel, mode: Mode) -> Iterator[None]:
    """transformers' gradient checkpointing, which it ties to a layer's training flag: the flag of the layer alone is
    set, so that dropout inside stays off. A last layer that works for the ends alone is left out. What a user had set
    is put back."""
    layers: list[Any] = [layer for layer in model.base_model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    if mode != "checkpoint":
        layers = []
    elif supports_rows(model):
        layers.pop()
    names = ("gradient_checkpointing", "_gradient_checkpointing_func")
    before = [{name: vars(layer)[name] for name in names if name in vars(layer)} for layer in layers]
    try:
        for layer in layers:
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
            layer.gradient_checkpointing = layer.training = True
        yield
    finally:
        for layer, had in zip(layers, before, strict=True):
            for name in names:
                delattr(layer, name)
            vars(layer).update(had)
            layer.training = False
