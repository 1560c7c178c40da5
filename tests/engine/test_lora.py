"""Adapters inside the step: the gradient of a naive step through the adapted model, in every mode and precision."""

import pytest
import torch
from token_pairs import ROWS, every_kind, flat_gradient, naive_step, relative

from more_repro.engine.head_gradients import StepRule
from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.more import More


@pytest.fixture
def adapted(model):
    """Adapters that already change the states: peft's start at zero, where half of their gradients are zero too."""
    add_lora(model, LoraSpec(2, 4.0, "all-linear"), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("mode", ["graph", "replay", "checkpoint"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.1)])
def test_gradients_of_adapters_and_head_equal_a_naive_step(adapted, mode, precision, tolerance):
    sequences = every_kind()
    expected, lambdas, _ = naive_step(adapted, sequences, ROWS, More(0.99, "l2"))
    adapted.zero_grad()
    rule = StepRule(More(0.99, "l2"))
    outcome = step_gradients(adapted, sequences, ROWS, rule, token_budget=100, mode=mode, precision=precision)
    assert relative(flat_gradient(adapted), expected) <= tolerance
    assert torch.allclose(outcome.lambdas, lambdas, atol=tolerance)
    assert all(p.grad is None for p in adapted.parameters() if not p.requires_grad)
