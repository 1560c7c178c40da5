"""The reward model: a backbone without vocabulary logits, and a bias-free head in fp32 on the last real token."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from more_repro.engine.batching.activation_memory import check_precision, token_budget_of
from more_repro.engine.batching.attention import row_arguments, row_attention, supports_rows
from more_repro.engine.batching.micro_batches import token_batches
from more_repro.engine.batching.packed_rows import Rows, plain_rows, shared_rows
from more_repro.engine.batching.shared_prefix import Groups, alone, neighbour_groups
from more_repro.engine.batching.token_pairs import TokenSequences
from more_repro.engine.lora import has_lora, merged_state_dict

MAX_MEMBERS = 16  # sequences of one row when scoring: padded rows pay for the square of their width
PACKED_FROM = 64  # mean tokens of a group from which packing pays on a CPU


def hidden_states(model: PreTrainedModel, rows: Rows, embedded: torch.Tensor | None = None) -> torch.Tensor:
    """z (n, H) in fp32 or finer: the last layer's state of each sequence's last token, in the order of rows.places.

    embedded: (R, T, H) embeddings of rows.ids, where the caller has them.
    """
    tokens = {"input_ids": rows.ids} if embedded is None else {"inputs_embeds": embedded}
    if not supports_rows(model):
        states = model.base_model(**tokens, use_cache=False).last_hidden_state
        return _fp32(states[rows.end_rows, rows.ends[rows.end_rows, rows.end_slots]])
    with row_attention(model):
        states = model.base_model(**tokens, **row_arguments(rows), use_cache=False).last_hidden_state
    return _fp32(states[rows.end_rows, rows.end_slots])


def head_weight(model: PreTrainedModel) -> torch.Tensor:
    """The head (H,), a view of the `score` layer's weight; gradients flow to it. Raises ValueError if it has a bias."""
    head: object = getattr(model, "score", None)
    biased = getattr(head, "bias", None) is not None
    if not isinstance(head, torch.nn.Linear) or biased or head.out_features != 1:
        raise ValueError(f"a reward head is linear, with one output and no bias, found {head}")
    return head.weight[0]


def reward(z: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """r = w.z in fp32 (spec section 2): (n,) from z (n, H) and the head (H,)."""
    return _fp32(z) @ _fp32(head)


def _fp32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def row_batches(
    model: PreTrainedModel, sequences: TokenSequences, rows: torch.Tensor, groups: Groups, token_budget: int
) -> Iterator[Rows]:
    """Micro-batches, on CPU, that hold every one of n sequences once; rows: (n,) by the places `groups` speaks of.

    Groups of a mean of PACKED_FROM tokens are packed on a CPU. Elsewhere rows are padded, and those that share no
    prefix keep apart: without a mask, attention is faster. Raises ValueError for a sequence without tokens.
    """
    if len(rows) and int((shortest := sequences.lengths[rows].min(dim=0)).values) < 1:
        raise ValueError(f"sequence number {int(rows[shortest.indices])} has no tokens: it has no last state to judge")
    if not supports_rows(model):
        groups = alone(len(rows))
    lengths = groups.n_tokens(sequences.lengths[rows])
    if supports_rows(model) and model.device.type == "cpu" and lengths.float().mean() >= PACKED_FROM:
        parts = token_batches(lengths, token_budget, packed=True)
        yield from (shared_rows(sequences, rows, groups.take(part), packed=True) for part in parts)
        return
    several = groups.prefix > 0
    for which in (several.nonzero()[:, 0], (~several).nonzero()[:, 0]):
        for part in token_batches(lengths[which], token_budget, packed=False):
            some = groups.take(which[part])
            if several[which[part][0]]:
                yield shared_rows(sequences, rows, some, packed=False)
            else:
                places = some.members[:, 0]
                yield plain_rows(sequences, rows[places], places)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """bf16 for the backbone's matrix products where the params ask for it; the head stays fp32 outside.

    Raises ValueError for a precision other than fp32 and bf16.
    """
    check_precision(precision)
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def mask_dtype(model: PreTrainedModel, precision: str) -> torch.dtype:
    """The format of attention masks: the one that attention computes in, on a CPU fp32 or finer."""
    if model.device.type == "cpu":
        return torch.promote_types(model.dtype, torch.float32)
    return torch.bfloat16 if precision == "bf16" else model.dtype


def on_device(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The model on a device, in eval mode: dropout off, in training too, so that every pass is the same function."""
    torch.nn.Module.to(model, device)
    return model.eval()


@torch.inference_mode()
def score(
    model: PreTrainedModel,
    sequences: TokenSequences,
    token_budget: int | None = None,
    precision: str = "fp32",
    share_prefix: bool = True,
) -> torch.Tensor:
    """Rewards (n,) fp32 on CPU of n sequences, in their order; a prefix that several share is computed once.

    The same to rounding at any token budget, with and without sharing.
    """
    model.eval()
    n = len(sequences)
    rewards = torch.empty(n)
    head = head_weight(model)
    budget = token_budget_of(token_budget, model.device, precision)
    groups = neighbour_groups(sequences, MAX_MEMBERS) if share_prefix else alone(n)
    for batch in row_batches(model, sequences, torch.arange(n), groups, budget):
        with autocast(model.device, precision):
            z = hidden_states(model, batch.to(model.device, mask_dtype(model, precision)))
        rewards[batch.places] = reward(z, head).cpu()
    return rewards


def save_reward_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write a standard sequence-classification checkpoint (safetensors) with its tokenizer; adapters are merged in."""
    with _no_bars():
        model.save_pretrained(out, state_dict=merged_state_dict(model) if has_lora(model) else None)
    tokenizer.save_pretrained(out)


def load_reward_model(path: Path) -> PreTrainedModel:
    """A trained reward model, in fp32 and eval mode. Raises FileNotFoundError that names the command that makes it."""
    if not (path / "config.json").exists():
        raise FileNotFoundError(f"{path}: no reward model here; `dvc repro` makes it")
    with _no_bars():
        model = AutoModelForSequenceClassification.from_pretrained(
            path, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, local_files_only=True
        )
    return model.eval()


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """A progress bar per file says nothing where dozens of models are written and read."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
