import pytest
import torch
from tiny_study import random_sequences, tiny_model

from more_repro.reward.objective import pair_losses
from more_repro.reward.step import NonFiniteLossError, activation_bytes, choose_mode, step_gradients
from more_repro.reward.weighting.more import More
from more_repro.reward.weighting.proportional import Proportional
from more_repro.reward.weighting.uniform import Uniform

K, B = 3, 4


def batch_rows(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, n, (2, K, B), generator=torch.Generator().manual_seed(seed))


def naive_gradients(model, sequences, rows, weighting):
    """Everything padded to the longest in one batch, with a mask, the standard forward, lambda from autograd."""
    model.zero_grad()
    flat = rows.reshape(-1)
    ids = sequences.padded(flat)
    mask = (torch.arange(ids.shape[1]) < sequences.lengths[flat][:, None]).long()
    rewards = model(input_ids=ids, attention_mask=mask).logits[:, 0].reshape(2, K, B)
    losses = pair_losses(rewards[0] - rewards[1]).mean(dim=1)
    head = model.score.weight
    per_source = torch.stack([torch.autograd.grad(loss, head, retain_graph=True)[0][0] for loss in losses])
    lambdas = weighting(per_source, losses.detach())
    (lambdas * losses).sum().backward()
    return flat_gradient(model), lambdas, losses.detach()


def flat_gradient(model):
    return torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])


WEIGHTINGS = {"uniform": lambda: Uniform(K), "fixed": lambda: Proportional((1, 2, 5)), "more": lambda: More(0.99, True)}


@pytest.mark.parametrize("mode", ["graph", "replay"])
@pytest.mark.parametrize("budget", [30, 4096])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_gradients_equal_a_naive_padded_step(model, mode, budget, weighting):
    sequences, rows = random_sequences(60), batch_rows(60)
    expected, lambdas, losses = naive_gradients(model, sequences, rows, WEIGHTINGS[weighting]())
    model.zero_grad()
    outcome = step_gradients(model, sequences, rows, WEIGHTINGS[weighting](), token_budget=budget, mode=mode)
    assert (flat_gradient(model) - expected).norm() <= 1e-5 * expected.norm()
    assert torch.allclose(outcome.lambdas, lambdas, atol=1e-5)
    assert torch.allclose(outcome.losses, losses, atol=1e-6)
    assert outcome.n_tokens == int(sequences.lengths[rows].sum())
    assert outcome.n_padded_tokens >= outcome.n_tokens


def test_more_with_one_source_is_vanilla():
    model, sequences = tiny_model("gpt_neox"), random_sequences(30)
    rows = batch_rows(30)[:, :1]
    found = []
    for weighting in (Uniform(1), More(0.99, True)):
        model.zero_grad()
        step_gradients(model, sequences, rows, weighting, token_budget=4096)
        found.append(flat_gradient(model))
    assert torch.equal(*found)


def test_accumulation_equals_large_batch():
    """Micro-batches of any size add up to the gradient of the whole step."""
    model, sequences, rows = tiny_model("llama"), random_sequences(60), batch_rows(60)
    found = []
    for budget in (1, 60, 10_000):
        model.zero_grad()
        step_gradients(model, sequences, rows, More(0.99, True), token_budget=budget)
        found.append(flat_gradient(model))
    assert (found[0] - found[2]).norm() <= 1e-5 * found[2].norm()
    assert (found[1] - found[2]).norm() <= 1e-5 * found[2].norm()


def test_bf16_is_near_fp32_and_the_head_stays_fp32():
    model, sequences, rows = tiny_model("gpt_neox"), random_sequences(60), batch_rows(60)
    step_gradients(model, sequences, rows, Uniform(K), token_budget=4096)
    expected = flat_gradient(model)
    model.zero_grad()
    outcome = step_gradients(model, sequences, rows, Uniform(K), token_budget=4096, precision="bf16")
    assert outcome.losses.dtype == torch.float32
    assert (flat_gradient(model) - expected).norm() <= 0.1 * expected.norm()


def test_a_loss_that_is_not_finite_stops_before_any_gradient():
    model, sequences, rows = tiny_model("gpt_neox"), random_sequences(60), batch_rows(60)
    with torch.no_grad():
        model.score.weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="source number"):
        step_gradients(model, sequences, rows, Uniform(K), token_budget=4096)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_must_be_off():
    model = tiny_model("gpt_neox").train()
    with pytest.raises(ValueError, match="eval mode"):
        step_gradients(model, random_sequences(60), batch_rows(60), Uniform(K), token_budget=4096)


def test_mode_follows_the_memory_limit():
    config = tiny_model("gpt_neox").config
    need = activation_bytes(config, 1000)
    assert choose_mode(config, 1000, need) == "graph"
    assert choose_mode(config, 1000, need - 1) == "replay"
