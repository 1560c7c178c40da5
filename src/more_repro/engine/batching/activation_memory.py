"""What a step may keep in memory: tokens of a micro-batch, bytes of activations, and which of its graphs."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PretrainedConfig

Mode = Literal["graph", "checkpoint", "replay"]

# Fastest of 512 to 8192, at hidden 32 to 256: by a few per cent in fp32, by a quarter in bf16.
CPU_TOKEN_BUDGET = {"fp32": 2048, "bf16": 4096}
GPU_TOKEN_BUDGET = 16_384  # projected, not measured
DEFAULT_SHARE = 0.5  # of what weights and optimizer leave of the device; what is free right now differs between runs
_GIB = 1 << 30
_STATES = 12  # of the hidden size that a layer keeps for its backward pass
_KEPT_FOR_A_WEIGHT = 4  # itself, its gradient, and AdamW's two moments
_INNER = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
# Dropouts beside the layers, which a layer's training flag does not switch on.
_BESIDE_LAYERS = ("classifier_dropout", "summary_first_dropout", "layerdrop")


@dataclass(frozen=True, slots=True)
class StepMemory:
    """How a step is run. fits: whether its estimated activations stay within the limit."""

    mode: Mode
    token_budget: int
    fits: bool


def check_precision(precision: str) -> None:
    """Raise ValueError for a precision other than fp32 and bf16."""
    if precision not in CPU_TOKEN_BUDGET:
        raise ValueError(f"precision is {' or '.join(CPU_TOKEN_BUDGET)}, found {precision!r}")


def token_budget_of(asked: int | None, device: torch.device, precision: str = "fp32") -> int:
    """Tokens of one micro-batch: what was asked for, or what suits the device. Raises ValueError below 1, and for a
    precision that is not known."""
    check_precision(precision)
    if asked is None:
        return CPU_TOKEN_BUDGET[precision] if device.type == "cpu" else GPU_TOKEN_BUDGET
    if asked < 1:
        raise ValueError(f"a token budget is at least 1 token, found {asked}")
    return asked


def memory_limit_bytes(asked_gib: float | None, device: torch.device, model: torch.nn.Module | None = None) -> int:
    """Bytes that a step's activations may take: what was asked for, or half of what the device has beside `model`.

    Of the model count its weights and, where they are trained, their gradients and AdamW's moments. The default goes by
    the memory that the device has, not by what is free at the moment: the mode, and with it the last bit of a result,
    is then the same in every run on a machine.
    """
    if asked_gib is not None:
        return int(asked_gib * _GIB)
    whole = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _host_bytes()
    return int(DEFAULT_SHARE * max(0, whole - (0 if model is None else _kept_bytes(model))))


def step_memory(
    config: PretrainedConfig, n_tokens: int, *, widest: int, token_budget: int, limit_bytes: int
) -> StepMemory:
    """The mode of a step, and its token budget, lowered where a micro-batch's activations would exceed the limit.

    n_tokens: computed tokens of the step. widest: tokens of its longest sequence, or pair that shares a row, below
    which no budget helps.
    """
    largest = max(token_budget, widest)  # a row wider than the budget is a micro-batch of its own
    mode = choose_mode(config, n_tokens, token_budget=largest, limit_bytes=limit_bytes)
    if _needed_bytes(config, mode, n_tokens, largest) <= limit_bytes:
        return StepMemory(mode, token_budget, fits=True)
    for lower in dict.fromkeys((mode, "replay")):
        fixed = _needed_bytes(config, lower, n_tokens, 0)
        room = (limit_bytes - fixed) // (_needed_bytes(config, lower, n_tokens, 1) - fixed)
        if room >= widest:
            return StepMemory(lower, min(room, token_budget), fits=True)
    return StepMemory("replay", min(widest, token_budget), fits=False)


def choose_mode(config: PretrainedConfig, n_tokens: int, *, token_budget: int, limit_bytes: int) -> Mode:
    """`graph` while the estimated activations of a step fit the limit, else what needs less of replay and checkpoint.

    Both cost one more forward pass. `replay` holds one micro-batch's activations, `checkpoint` one state a layer of
    every token and the activations of one layer of one micro-batch. All three give the same gradient.
    n_tokens: computed tokens of the step.
    """
    if activation_bytes(config, n_tokens) <= limit_bytes:
        return "graph"
    replay, checkpoint = (_needed_bytes(config, mode, n_tokens, token_budget) for mode in ("replay", "checkpoint"))
    return "checkpoint" if checkpoint < replay and can_checkpoint(config) else "replay"


def activation_bytes(config: PretrainedConfig, n_tokens: int) -> int:
    """Estimated bytes that autograd keeps for n computed tokens: per layer about 12 states of the hidden size (norms,
    attention inputs and outputs, residuals) and 3 of the inner size, 4 bytes each."""
    hidden, inner, layers = _shape(config)
    return 4 * n_tokens * layers * (_STATES * hidden + 3 * inner)


def can_checkpoint(config: PretrainedConfig) -> bool:
    """Whether layers may be run again in the backward pass: it sets their training flag, which must not switch a
    dropout on."""
    settings = vars(config.get_text_config())
    rates = [settings[name] for name in settings if "drop" in name and name not in _BESIDE_LAYERS]
    return not any(isinstance(rate, int | float) and rate > 0 for rate in rates)


def _needed_bytes(config: PretrainedConfig, mode: Mode, n_tokens: int, token_budget: int) -> int:
    """Estimated bytes of a step's activations in a mode."""
    hidden, _, layers = _shape(config)
    if mode == "graph":
        return activation_bytes(config, n_tokens)
    one = activation_bytes(config, min(token_budget, n_tokens))
    if mode == "replay":
        return one
    # A state for every layer; the last layer, which works for the ends alone, is not made anew.
    return 4 * n_tokens * hidden * (layers + _STATES) + one // layers


def _shape(config: PretrainedConfig) -> tuple[int, int, int]:
    """Hidden size, inner size and layers of a decoder, whatever its config calls them."""
    text: Any = config.get_text_config()
    named = [size for name in _INNER if (size := getattr(text, name, None)) is not None]
    return text.hidden_size, named[0] if named else 4 * text.hidden_size, text.num_hidden_layers


def _kept_bytes(model: torch.nn.Module) -> int:
    """Bytes that stay between steps: the weights, and what training keeps for each that is trained."""
    return sum(
        p.numel() * p.element_size() * (_KEPT_FOR_A_WEIGHT if p.requires_grad else 1) for p in model.parameters()
    )


@cache
def _host_bytes() -> int:
    """The machine's memory, or what its control group allows of it."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    allowed = Path("/sys/fs/cgroup/memory.max")
    if allowed.exists() and (text := allowed.read_text(encoding="ascii").strip()).isdigit():
        limits.append(int(text))
    return min(limits)
