import pytest
import torch
from transformers import FalconConfig, GPT2Config, GPTNeoConfig, OPTConfig

from more_repro.engine.batching import activation_memory
from more_repro.engine.batching.activation_memory import (
    StepMemory,
    activation_bytes,
    choose_mode,
    memory_limit_bytes,
    step_memory,
    token_budget_of,
)
from tiny_models import tiny_config

CPU = torch.device("cpu")
CONFIG = tiny_config("gpt_neox", 50, layers=8)


def test_graph_while_the_activations_fit():
    need = activation_bytes(CONFIG, 1000)
    assert choose_mode(CONFIG, 1000, token_budget=100, limit_bytes=need) == "graph"
    assert choose_mode(CONFIG, 1000, token_budget=100, limit_bytes=need - 1) == "replay"


def test_checkpoint_where_one_micro_batch_is_nearly_the_whole_step():
    limit = activation_bytes(CONFIG, 1000) - 1
    assert choose_mode(CONFIG, 1000, token_budget=1000, limit_bytes=limit) == "checkpoint"
    with_dropout = tiny_config("gpt_neox", 50, layers=8)
    with_dropout.hidden_dropout = 0.1
    assert choose_mode(with_dropout, 1000, token_budget=1000, limit_bytes=limit) == "replay"


def test_limit_is_what_was_asked_or_half_of_what_the_machine_has(monkeypatch):
    assert memory_limit_bytes(1.5, CPU) == 3 << 29
    monkeypatch.setattr(activation_memory, "_host_bytes", lambda: 10 << 30)
    assert memory_limit_bytes(None, CPU) == 5 << 30


def test_limit_does_not_depend_on_what_is_free():
    before = memory_limit_bytes(None, CPU)
    held = torch.ones(8 << 20)
    assert memory_limit_bytes(None, CPU) == before
    assert held.numel() == 8 << 20


def test_token_budget_is_what_was_asked_or_suits_the_device():
    assert token_budget_of(77, CPU) == 77
    assert token_budget_of(None, CPU) == activation_memory.CPU_TOKEN_BUDGET["fp32"]
    assert token_budget_of(None, torch.device("cuda")) == activation_memory.GPU_TOKEN_BUDGET
    with pytest.raises(ValueError, match="at least 1 token, found 0"):
        token_budget_of(0, CPU)


def test_the_budget_is_lowered_until_a_micro_batch_fits():
    asked = {"widest": 50, "token_budget": 1000}
    for n_fit in (50, 51, 300, 999):
        limit = activation_bytes(CONFIG, n_fit)
        found = step_memory(CONFIG, 100_000, limit_bytes=limit, **asked)
        assert found == StepMemory("replay", n_fit, fits=True)
    assert step_memory(CONFIG, 100_000, limit_bytes=activation_bytes(CONFIG, 1000), **asked).token_budget == 1000
    too_small = step_memory(CONFIG, 100_000, limit_bytes=activation_bytes(CONFIG, 50) - 1, **asked)
    assert too_small == StepMemory("replay", 50, fits=False)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 1.0])
def test_a_step_that_fits_needs_no_more_than_the_limit(share):
    n_tokens = 2000
    limit = int(share * activation_bytes(CONFIG, n_tokens))
    found = step_memory(CONFIG, n_tokens, widest=20, token_budget=n_tokens, limit_bytes=limit)
    assert found.fits
    assert activation_memory._needed_bytes(CONFIG, found.mode, n_tokens, found.token_budget) <= limit


def test_a_row_wider_than_the_budget_counts_whole():
    limit = activation_bytes(CONFIG, 300)
    assert not step_memory(CONFIG, 5000, widest=400, token_budget=100, limit_bytes=limit).fits
    assert step_memory(CONFIG, 5000, widest=300, token_budget=100, limit_bytes=limit).fits


def test_weights_and_what_training_keeps_of_them_are_no_room_for_activations(monkeypatch):
    model = torch.nn.ModuleList([torch.nn.Linear(10, 10, bias=False), torch.nn.Linear(30, 10, bias=False)])
    monkeypatch.setattr(activation_memory, "_host_bytes", lambda: 100_000)
    assert memory_limit_bytes(None, CPU, model) == (100_000 - 16 * 400) // 2
    model[1].weight.requires_grad_(False)
    assert memory_limit_bytes(None, CPU, model) == (100_000 - 16 * 100 - 4 * 300) // 2
    monkeypatch.setattr(activation_memory, "_host_bytes", lambda: 100)
    assert memory_limit_bytes(None, CPU, model) == 0
    assert memory_limit_bytes(1.0, CPU, model) == 1 << 30


@pytest.mark.parametrize(
    ("config", "inner"),
    [
        (GPT2Config(n_embd=16, n_layer=3), 64),
        (GPT2Config(n_embd=16, n_layer=3, n_inner=40), 40),
        (OPTConfig(hidden_size=16, num_hidden_layers=3, ffn_dim=40), 40),
        (FalconConfig(hidden_size=16, num_hidden_layers=3, ffn_hidden_size=40), 40),
        (GPTNeoConfig(hidden_size=16, num_layers=2, attention_types=[[["global"], 2]]), 64),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sizes_are_found_under_each_configs_own_names(config, inner):
    assert activation_bytes(config, 7) == 4 * 7 * config.num_hidden_layers * (12 * 16 + 3 * inner)


def test_unknown_precision_is_named():
    with pytest.raises(ValueError, match="precision is fp32 or bf16, found 'fp16'"):
        token_budget_of(None, CPU, "fp16")
