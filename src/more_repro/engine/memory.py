"""What a step may keep in memory: tokens of a micro-batch, bytes of activations, and which of its graphs."""

import os
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from transformers import PretrainedConfig

Mode = Literal["graph", "checkpoint", "replay"]

# Fastest of 512 to 8192, at hidden 32 to 256: by a few per cent in fp32, by a quarter in bf16.
CPU_TOKEN_BUDGET = {"fp32": 2048, "bf16": 4096}
GPU_TOKEN_BUDGET = 16_384  # projected, not measured
DEFAULT_SHARE = 0.5  # of the device's whole memory; what is free right now would differ from run to run
_GIB = 1 << 30
_STATES = 12  # of the hidden size that a layer keeps for its backward pass


def token_budget_of(asked: int | None, device: torch.device, precision: str = "fp32") -> int:
    """Tokens of one micro-batch: what was asked for, or what suits the device. Raises ValueError below 1."""
    if asked is None:
        return CPU_TOKEN_BUDGET[precision] if device.type == "cpu" else GPU_TOKEN_BUDGET
    if asked < 1:
        raise ValueError(f"a token budget is at least 1 token, found {asked}")
    return asked


def memory_limit_bytes(asked_gib: float | None, device: torch.device) -> int:
    """Bytes that a step's activations may take: what was asked for, or half of the device's memory.

    The default counts the memory that the device has, not what is free at the moment: the mode, and with it the last
    bit of a result, is then the same in every run on a machine.
    """
    if asked_gib is not None:
        return int(asked_gib * _GIB)
    if device.type == "cuda":
        return int(DEFAULT_SHARE * torch.cuda.get_device_properties(device).total_memory)
    return int(DEFAULT_SHARE * _host_bytes())


def choose_mode(config: PretrainedConfig, n_tokens: int, *, token_budget: int, limit_bytes: int) -> Mode:
    """`graph` while the estimated activations of a step fit the limit, else what needs less of replay and checkpoint.

    Both cost one more forward pass. `replay` holds one micro-batch's activations, `checkpoint` one state a layer of
    every token and the activations of one layer of one micro-batch. All three give the same gradient.
    n_tokens: computed tokens of the step.
    """
    if activation_bytes(config, n_tokens) <= limit_bytes:
        return "graph"
    replay = activation_bytes(config, min(token_budget, n_tokens))
    # A state for every layer; the last layer, which works for the ends alone, is not made anew.
    states = 4 * n_tokens * config.hidden_size * (config.num_hidden_layers + _STATES)
    one_layer = replay // config.num_hidden_layers
    return "checkpoint" if states + one_layer < replay and _can_checkpoint(config) else "replay"


def activation_bytes(config: PretrainedConfig, n_tokens: int) -> int:
    """Estimated bytes that autograd keeps for n computed tokens: per layer about 12 states of the hidden size (norms,
    attention inputs and outputs, residuals) and 3 of the inner size, 4 bytes each."""
    per_layer = _STATES * config.hidden_size + 3 * config.intermediate_size
    return 4 * n_tokens * config.num_hidden_layers * per_layer


def _can_checkpoint(config: PretrainedConfig) -> bool:
    """Checkpointing sets a layer's training flag, which must not switch a dropout on."""
    rates = [value for name, value in vars(config).items() if "dropout" in name and name != "classifier_dropout"]
    return not any(rates)


@cache
def _host_bytes() -> int:
    """The machine's memory, or what its control group allows of it."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    allowed = Path("/sys/fs/cgroup/memory.max")
    if allowed.exists() and (text := allowed.read_text(encoding="ascii").strip()).isdigit():
        limits.append(int(text))
    return min(limits)
