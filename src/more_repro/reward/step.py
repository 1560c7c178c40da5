"""One training step: margins of K sources, lambda over the whole batch, and the exact gradient of the weighted loss."""

from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PretrainedConfig, PreTrainedModel

from more_repro.reward.encoding import TokenSequences
from more_repro.reward.model import autocast, head_weight, hidden_states, micro_batches, reward
from more_repro.reward.objective import head_gradients, pair_losses
from more_repro.reward.weighting import Weighting

Mode = Literal["graph", "replay"]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step leaves in the log; each (K,), on CPU."""

    losses: torch.Tensor
    lambdas: torch.Tensor
    margins: torch.Tensor
    head_gradient_norms: torch.Tensor
    n_tokens: int
    n_padded_tokens: int


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    rows: torch.Tensor
    ids: torch.Tensor
    lengths: torch.Tensor


class NonFiniteLossError(FloatingPointError):
    """The loss of a step is not a finite number: training stops there, before the weights are touched."""


def step_gradients(
    model: PreTrainedModel,
    sequences: TokenSequences,
    rows: torch.Tensor,
    weighting: Weighting,
    *,
    token_budget: int,
    mode: Mode = "graph",
    precision: str = "fp32",
) -> StepOutcome:
    """Add the gradient of sum_k lambda_k L_k to the parameters' .grad.

    rows: (2, K, B) rows of `sequences`, chosen then rejected. The gradient is the same in both modes: `graph` keeps
    every micro-batch's graph until lambda is known; `replay` runs the backbone once without and once with a graph,
    for less memory and about 1.3 times the time. Dropout must be off (eval mode), or the two passes would differ.
    Raises NonFiniteLossError before any backward pass, naming the sources.
    """
    if model.training:
        raise ValueError("the step needs a model in eval mode: dropout would make its passes differ")
    flat_rows = rows.reshape(-1)
    batches = _micro_batches(model, sequences, flat_rows, token_budget)
    keep_graph = mode == "graph"
    with torch.set_grad_enabled(keep_graph):
        parts = [_backbone(model, batch, precision) for batch in batches]
    z = parts[0].new_empty(flat_rows.numel(), parts[0].shape[1])
    for batch, part in zip(batches, parts, strict=True):
        z[batch.rows] = part.detach()
    outcome, z_gradient = _head_backward(model, z, rows.shape, weighting, batches)
    for batch, part in zip(batches, parts, strict=True):
        state = part if keep_graph else _backbone(model, batch, precision)
        state.backward(z_gradient[batch.rows])
    return outcome


def _micro_batches(
    model: PreTrainedModel, sequences: TokenSequences, flat_rows: torch.Tensor, token_budget: int
) -> list[_MicroBatch]:
    lengths = sequences.lengths[flat_rows]
    batches = micro_batches(lengths, token_budget)
    device = model.device
    return [
        _MicroBatch(part.to(device), sequences.padded(flat_rows[part]).to(device), lengths[part].to(device))
        for part in batches
    ]


def _backbone(model: PreTrainedModel, batch: _MicroBatch, precision: str) -> torch.Tensor:
    with autocast(model.device, precision):
        return hidden_states(model, batch.ids, batch.lengths)


def _head_backward(
    model: PreTrainedModel, z: torch.Tensor, shape: torch.Size, weighting: Weighting, batches: list[_MicroBatch]
) -> tuple[StepOutcome, torch.Tensor]:
    """Margins, lambda and the backward pass through the head alone; returns the log and dL/dz (2KB, H)."""
    z = z.requires_grad_()
    rewards = reward(z, head_weight(model)).reshape(shape)
    margins = rewards[0] - rewards[1]
    losses = pair_losses(margins).mean(dim=1)
    finite = torch.isfinite(losses)
    if not bool(finite.all()):
        bad = [number for number, good in enumerate(finite.tolist()) if not good]
        raise NonFiniteLossError(f"loss not finite for source number {bad}, losses {losses.tolist()}")
    with torch.no_grad():
        z_chosen, z_rejected = z.detach().reshape(*shape, -1)
        gradients = head_gradients(z_chosen, z_rejected, margins)
        lambdas = weighting(gradients, losses.detach())
    (lambdas * losses).sum().backward()
    assert z.grad is not None
    outcome = StepOutcome(
        losses=losses.detach().cpu(),
        lambdas=lambdas.cpu(),
        margins=margins.detach().mean(dim=1).cpu(),
        head_gradient_norms=gradients.norm(dim=1).cpu(),
        n_tokens=sum(int(batch.lengths.sum()) for batch in batches),
        n_padded_tokens=sum(batch.ids.numel() for batch in batches),
    )
    return outcome, z.grad


def choose_mode(config: PretrainedConfig, n_tokens: int, limit_bytes: int) -> Mode:
    """`graph` while the estimated activations of a step fit the limit, else `replay`."""
    return "graph" if activation_bytes(config, n_tokens) <= limit_bytes else "replay"


def activation_bytes(config: PretrainedConfig, n_tokens: int) -> int:
    """Estimated bytes that autograd keeps for a step's padded tokens: per layer about 12 states of the hidden size
    (norms, attention inputs and outputs, residuals) and 3 of the inner size, 4 bytes each."""
    per_layer = 12 * config.hidden_size + 3 * config.intermediate_size
    return 4 * n_tokens * config.num_hidden_layers * per_layer
