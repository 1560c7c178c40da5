"""The reward model: a backbone without vocabulary logits, and a bias-free head in fp32 on the last real token."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from more_repro.reward.encoding import TokenSequences

SCORING_BUDGET = 4096  # padded tokens of one batch; the rewards do not depend on it


def hidden_states(model: PreTrainedModel, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """z (n, H) in fp32: the last layer's state of each sequence's last real token.

    ids: (n, T) padded on the right. lengths: (n,). No mask: under causal attention nothing sees the padding to its
    right, and without a mask attention keeps its fast path.
    """
    states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    rows = torch.arange(ids.shape[0], device=ids.device)
    return states[rows, lengths - 1].float()


def head_weight(model: PreTrainedModel) -> torch.Tensor:
    """The head (H,), a view of the `score` layer's weight; gradients flow to it. Raises ValueError if it has a bias."""
    head: object = getattr(model, "score", None)
    biased = getattr(head, "bias", None) is not None
    if not isinstance(head, torch.nn.Linear) or biased or head.out_features != 1:
        raise ValueError(f"a reward head is linear, with one output and no bias, found {head}")
    return head.weight[0]


def reward(z: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """r = w.z in fp32 (spec section 2): (n,) from z (n, H) and the head (H,)."""
    return z.float() @ head.float()


def micro_batches(lengths: torch.Tensor, token_budget: int) -> list[torch.Tensor]:
    """Rows sorted by length and cut so that a batch, padded to its longest, stays within the budget of tokens.

    lengths: (n,). Returns index tensors that hold every row once; a single row may exceed the budget.
    """
    order = lengths.argsort(descending=True, stable=True)
    longest_first = lengths[order].tolist()
    batches = []
    start = 0
    while start < len(longest_first):
        size = max(1, token_budget // longest_first[start])
        batches.append(order[start : start + size])
        start += size
    return batches


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """bf16 for the backbone's matrix products where the params ask for it; the head stays fp32 outside."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def on_device(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The model on a device, in eval mode: dropout off, in training too, so that every pass is the same function."""
    torch.nn.Module.to(model, device)
    return model.eval()


@torch.inference_mode()
def score(
    model: PreTrainedModel, sequences: TokenSequences, token_budget: int = SCORING_BUDGET, precision: str = "fp32"
) -> torch.Tensor:
    """Rewards (n,) fp32 on CPU of n sequences, in their order. The same to rounding at any token budget."""
    model.eval()
    rewards = torch.empty(len(sequences))
    head = head_weight(model)
    for rows in micro_batches(sequences.lengths, token_budget):
        ids = sequences.padded(rows).to(model.device)
        with autocast(model.device, precision):
            z = hidden_states(model, ids, sequences.lengths[rows].to(model.device))
        rewards[rows] = reward(z, head).cpu()
    return rewards


def save_reward_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write a standard sequence-classification checkpoint (safetensors) with its tokenizer."""
    with _no_bars():
        model.save_pretrained(out)
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
