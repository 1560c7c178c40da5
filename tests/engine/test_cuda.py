"""On a CUDA device a step and a training give what they give on a CPU, within what other kernels round."""

import copy

import pytest
import torch
from preference_files import preference_rows, write_base
from token_pairs import ROWS, K, every_kind, flat_gradient, relative
from transformers import AutoTokenizer

from more_repro.engine import MoreConfig, MoreTrainer
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.model import on_device, score
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.more import More
from more_repro.engine.weighting.uniform import Uniform

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def step(model, device, weighting, **options):
    """Gradient, lambda and losses of a step of a copy of the model, on the CPU."""
    copied = on_device(copy.deepcopy(model), device)
    outcome = step_gradients(copied, every_kind(), ROWS, StepRule(weighting), token_budget=100, **options)
    return flat_gradient(copied).cpu(), outcome.lambdas.cpu(), outcome.losses.cpu()


@pytest.mark.parametrize("mode", ["graph", "replay", "checkpoint"])
def test_a_step_equals_that_of_a_cpu(model, mode):
    expected, lambdas, losses = step(model, CPU, More(0.99, "l2"))
    found, same_lambdas, same_losses = step(model, CUDA, More(0.99, "l2"), mode=mode)
    assert relative(found, expected) <= 1e-3
    assert torch.allclose(same_lambdas, lambdas, atol=1e-3)
    assert torch.allclose(same_losses, losses, atol=1e-4)


def test_a_step_in_bf16_is_near_fp32(model):
    """As near as bf16 on a CPU is."""
    expected, _, losses = step(model, CPU, Uniform(K))
    found, _, near = step(model, CUDA, Uniform(K), precision="bf16")
    assert near.dtype == torch.float32
    assert relative(found, expected) <= 0.1
    assert torch.allclose(near, losses, rtol=0.05)


def test_rewards_equal_those_of_a_cpu(model):
    expected = score(on_device(copy.deepcopy(model), CPU), every_kind())
    found = score(on_device(copy.deepcopy(model), CUDA), every_kind())
    assert torch.allclose(found.cpu(), expected.cpu(), atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_trainer_learns_on_the_device(tmp_path, precision):
    base = write_base(tmp_path / "base")
    config = MoreConfig(
        tmp_path / "out", learning_rate=1e-2, per_source_batch_size=4, num_train_epochs=4, max_length=64,
        bf16=precision == "bf16",
    )  # fmt: skip
    rows = {"helpful": preference_rows(24, 0), "other": preference_rows(12, 1)}
    trainer = MoreTrainer(
        str(base), config, rows, AutoTokenizer.from_pretrained(base), {"helpful": preference_rows(20, 9)}
    )
    assert trainer.model.device.type == "cuda"
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_helpful_accuracy"] > 0.8
    assert after["eval_helpful_loss"] < before["eval_helpful_loss"]
