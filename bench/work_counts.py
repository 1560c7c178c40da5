"""Floating-point operations of a training step, counted from the model's shape and the tokens that pass through it."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from more_repro.engine.batching.attention import supports_rows
from more_repro.engine.batching.token_pairs import TokenSequences
from pair_tokens import common_prefix


@dataclass(frozen=True, slots=True)
class Work:
    """flops: of what the step computes, padding in it. useful_flops: of real tokens, and in the last layer only what
    the ends of sequences need. full_flops: of real tokens through every layer. A shared prefix counts once in all."""

    flops: float
    useful_flops: float
    full_flops: float


def count_work(
    model: PreTrainedModel, sequences: TokenSequences, rows: torch.Tensor, n_tokens: int, n_padded_tokens: int
) -> Work:
    """Work of one step, forward and backward: 6 for each weight and token, 12 h for each pair of query and key a layer.

    Embeddings are left out. Attention counts the causal half of real tokens alone, so the count is a lower bound of
    what the kernels do. n_tokens, n_padded_tokens: as the step counted them. In a model whose last layer works for the
    ends alone, all tokens pass its fused query, key and value matrix there, of which keys and values are useful.
    """
    config = model.config
    layers, hidden, inner = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    shared = n_tokens < int(sequences.lengths[rows].sum())
    layer, attention = 6 * (4 * hidden**2 + 2 * hidden * inner), 12 * hidden * _attended(sequences, rows, shared)
    full = layers * (layer * n_tokens + attention)
    if not supports_rows(model):
        return Work(layers * (layer * n_padded_tokens + attention), full, full)
    ends = rows.numel() * (layer - 12 * hidden**2) + 12 * hidden * int(sequences.lengths[rows].sum())
    lower = (layers - 1) * attention + ends
    of_last = 6 * hidden**2
    return Work(
        flops=((layers - 1) * layer + 3 * of_last) * n_padded_tokens + lower,
        useful_flops=((layers - 1) * layer + 2 * of_last) * n_tokens + lower,
        full_flops=full,
    )


def _attended(sequences: TokenSequences, rows: torch.Tensor, shared: bool) -> int:
    """Pairs of query and key under causal attention; with `shared`, those inside a common prefix count once."""
    total = 0
    for chosen, rejected in rows.reshape(2, -1).T.tolist():
        a, b = (_tokens(sequences, row) for row in (chosen, rejected))
        prefix = common_prefix(a, b) if shared else 0
        total += (len(a) * (len(a) + 1) + len(b) * (len(b) + 1) - prefix * (prefix + 1)) // 2
    return total


def _tokens(sequences: TokenSequences, row: int) -> list[int]:
    start = int(sequences.starts[row])
    return sequences.flat[start : start + int(sequences.lengths[row])].tolist()
