import pytest
import torch

from more_repro.engine import memory
from more_repro.engine.memory import activation_bytes, choose_mode, memory_limit_bytes, token_budget_of
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
    monkeypatch.setattr(memory, "_host_bytes", lambda: 10 << 30)
    assert memory_limit_bytes(None, CPU) == 5 << 30


def test_limit_does_not_depend_on_what_is_free():
    before = memory_limit_bytes(None, CPU)
    held = torch.ones(8 << 20)
    assert memory_limit_bytes(None, CPU) == before
    assert held.numel() == 8 << 20


def test_token_budget_is_what_was_asked_or_suits_the_device():
    assert token_budget_of(77, CPU) == 77
    assert token_budget_of(None, CPU) == memory.CPU_TOKEN_BUDGET["fp32"]
    assert token_budget_of(None, torch.device("cuda")) == memory.GPU_TOKEN_BUDGET
    with pytest.raises(ValueError, match="at least 1 token, found 0"):
        token_budget_of(0, CPU)
