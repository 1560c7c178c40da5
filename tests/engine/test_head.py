import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from test_objective import COEFFICIENTS, written_out

from more_repro.engine.head_gradients import NonFiniteLossError, StepRule, head_step
from more_repro.engine.objective import PairLoss
from more_repro.engine.weighting import WeightingSpec, make_weighting

K, B, H = 3, 4, 6


def states(seed=0, n_pairs=B):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, K, n_pairs, H, generator=generator) + 0.1, 0.5 * torch.randn(H, generator=generator)


def rule_of(name="more", loss=None, lambda_scope="batch", alpha=0.9):
    weighting = make_weighting(WeightingSpec(name, alpha), K, (1, 2, 3), 0)
    return StepRule(weighting, loss or PairLoss(), lambda_scope)


class Member:
    """One thread of a group: sums wait for the others, as processes would."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.size, self._slots, self._barrier = rank, len(slots), slots, barrier

    def sum(self, tensor):
        self._slots[self.rank] = tensor
        self._barrier.wait(timeout=20)
        total = torch.stack(list(self._slots)).sum(dim=0)
        self._barrier.wait(timeout=20)
        return total


def together(parts, head, make_rule):
    """head_step on every part of a batch, each by a member of one group."""
    slots, barrier = [None] * len(parts), threading.Barrier(len(parts))
    members = [Member(rank, slots, barrier) for rank in range(len(parts))]
    with ThreadPoolExecutor(len(parts)) as pool:
        steps = [
            pool.submit(head_step, part, head, make_rule(), member) for part, member in zip(parts, members, strict=True)
        ]
        return [step.result() for step in steps]


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_gradients_equal_autograd_of_the_weighted_loss(name):
    z, head = (tensor.requires_grad_() for tensor in states())
    step = head_step(z.detach(), head.detach(), rule_of(loss=PairLoss(COEFFICIENTS[name])))
    losses = written_out(COEFFICIENTS[name], z @ head)
    per_source = torch.stack([torch.autograd.grad(loss, head, retain_graph=True)[0] for loss in losses])
    lambdas = rule_of().weighting(per_source, losses)
    (lambdas * losses).sum().backward()
    assert torch.allclose(step.lambdas, lambdas, atol=1e-5)
    assert torch.allclose(step.losses, losses.detach(), atol=1e-6)
    assert torch.allclose(step.z_gradient, z.grad, atol=1e-6)
    assert torch.allclose(step.head_gradient, head.grad, atol=1e-6)
    assert torch.allclose(step.head_gradient_norms, per_source.norm(dim=1), atol=1e-6)
    assert torch.allclose(step.margins, ((z[0] - z[1]) @ head).mean(dim=1).detach(), atol=1e-6)


@pytest.mark.parametrize("lambda_scope", ["batch", "micro_batch"])
@pytest.mark.parametrize("name", ["plain", "all"])
def test_two_processes_make_the_step_of_one(name, lambda_scope):
    z, head = states()

    def make_rule():
        return rule_of(loss=PairLoss(COEFFICIENTS[name]), lambda_scope=lambda_scope)

    alone = head_step(z, head, make_rule())
    parts = together([z[:, :, :2], z[:, :, 2:]], head, make_rule)
    assert torch.equal(parts[0].lambdas, parts[1].lambdas)
    assert torch.allclose(torch.cat([part.z_gradient for part in parts], dim=2), alone.z_gradient, atol=1e-6)
    assert torch.allclose(parts[0].head_gradient + parts[1].head_gradient, alone.head_gradient, atol=1e-6)
    for field in ("losses", "lambdas", "margins", "head_gradient_norms"):
        assert torch.allclose(getattr(parts[0], field), getattr(alone, field), atol=1e-5), field


def test_processes_may_hold_different_numbers_of_pairs():
    z, head = states()
    alone = head_step(z, head, rule_of())
    parts = together([z[:, :, :1], z[:, :, 1:]], head, rule_of)
    assert torch.allclose(torch.cat([part.z_gradient for part in parts], dim=2), alone.z_gradient, atol=1e-6)
    assert torch.allclose(parts[0].losses, alone.losses, atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "all"])
def test_micro_batch_is_a_lambda_for_each_pair_of_every_source(name):
    """As the paper's code has it: pair b of every source alone, momentum carried on, and the mean over b."""
    z, head = states()
    step = head_step(z, head, rule_of(loss=PairLoss(COEFFICIENTS[name]), lambda_scope="micro_batch", alpha=0.7))
    one_by_one = rule_of(loss=PairLoss(COEFFICIENTS[name]), alpha=0.7)
    groups = [head_step(z[:, :, b : b + 1], head, one_by_one) for b in range(B)]
    assert torch.allclose(step.lambdas, torch.stack([group.lambdas for group in groups]).mean(dim=0), atol=1e-6)
    assert torch.allclose(step.losses, torch.stack([group.losses for group in groups]).mean(dim=0), atol=1e-6)
    assert torch.allclose(step.z_gradient * B, torch.cat([group.z_gradient for group in groups], dim=2), atol=1e-6)
    assert torch.allclose(step.head_gradient * B, sum(group.head_gradient for group in groups), atol=1e-6)


def test_the_two_scopes_agree_where_lambda_is_constant():
    z, head = states()
    steps = [head_step(z, head, rule_of("proportional", lambda_scope=scope)) for scope in ("batch", "micro_batch")]
    for field in ("z_gradient", "head_gradient", "losses", "lambdas", "margins", "head_gradient_norms"):
        assert torch.allclose(getattr(steps[0], field), getattr(steps[1], field), atol=1e-6), field


def test_micro_batch_lambda_does_not_see_how_sure_a_pair_is():
    """Between l2-normalised gradients of single pairs sigmoid(-D) cancels: a longer head changes no lambda."""
    z, head = states()
    found = [head_step(z, scale * head, rule_of(lambda_scope="micro_batch", alpha=1.0)) for scale in (1, 3)]
    assert torch.allclose(found[0].lambdas, found[1].lambdas, atol=1e-5)
    found = [head_step(z, scale * head, rule_of(alpha=1.0)) for scale in (1, 3)]
    assert not torch.allclose(found[0].lambdas, found[1].lambdas, atol=1e-3)


@pytest.mark.parametrize("lambda_scope", ["batch", "micro_batch"])
def test_a_loss_that_is_not_finite_names_its_source(lambda_scope):
    z, head = states()
    z[0, 1, 2, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match=r"source number \[1\]"):
        head_step(z, head, rule_of(lambda_scope=lambda_scope))


def test_other_shapes_are_refused():
    z, head = states()
    with pytest.raises(ValueError, match=r"\(2, K, B, H\)"):
        head_step(z.reshape(2, K * B, H), head, rule_of())
    with pytest.raises(ValueError, match="found"):
        head_step(z, head[:-1], rule_of())


def test_a_scope_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="batch or micro_batch, found 'pair'"):
        rule_of(lambda_scope="pair")
