"""Everything of a step between the hidden states and their gradient: losses, head gradients, lambda. No model."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch

from more_repro.engine.distributed import ALONE, Group
from more_repro.engine.objective import PairLoss, PairTotals
from more_repro.engine.weighting import Weighting

LambdaScope = Literal["batch", "micro_batch"]


class NonFiniteLossError(FloatingPointError):
    """The loss of a step is not a finite number: training stops there, before the weights are touched."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """How a step's loss is made of its pairs.

    lambda_scope: `batch` solves lambda once, over all pairs of the step on all processes; `micro_batch` solves it for
    one pair of each source after the other, as the paper's code does, and the loss is the mean over those groups.
    Raises ValueError for another scope.
    """

    weighting: Weighting
    loss: PairLoss = field(default_factory=PairLoss)
    lambda_scope: LambdaScope = "batch"

    def __post_init__(self) -> None:
        if self.lambda_scope not in get_args(LambdaScope):
            raise ValueError(f"lambda_scope is batch or micro_batch, found {self.lambda_scope!r}")


@dataclass(frozen=True, slots=True)
class HeadStep:
    """Gradients of this process's pairs, scaled so that their sum over processes is the gradient of the loss; and,
    for the log, facts of the whole batch, each (K,)."""

    z_gradient: torch.Tensor  # (2, K, B, H)
    head_gradient: torch.Tensor  # (H,)
    losses: torch.Tensor
    lambdas: torch.Tensor
    margins: torch.Tensor
    head_gradient_norms: torch.Tensor


@torch.no_grad()
def head_step(z: torch.Tensor, head: torch.Tensor, rule: StepRule, group: Group = ALONE) -> HeadStep:
    """The gradients of sum_k lambda_k L_k, where lambda is a constant, with respect to z and to the head.

    z: (2, K, B, H), chosen then rejected, of this process. head: (H,). Raises NonFiniteLossError that names the
    sources, on every process alike, and ValueError on other shapes.
    """
    if z.ndim != 4 or z.shape[0] != 2 or head.shape != z.shape[3:]:
        raise ValueError(f"head_step expects (2, K, B, H) and (H,), found {tuple(z.shape)} and {tuple(head.shape)}")
    precision = torch.promote_types(z.dtype, torch.float32)
    z, head = z.to(precision), head.to(precision)
    rewards = z @ head
    solve = {"batch": _over_the_batch, "micro_batch": _pair_by_pair}[rule.lambda_scope]
    return solve(z, head, rewards, rule, group)


def _over_the_batch(
    z: torch.Tensor, head: torch.Tensor, rewards: torch.Tensor, rule: StepRule, group: Group
) -> HeadStep:
    totals = _summed(rule.loss.totals(rewards), group)
    losses = _finite(rule.loss.losses(totals))
    by_reward = rule.loss.reward_gradients(rewards, totals)
    own = torch.einsum("skb,skbh->kh", by_reward, z)
    gradients = group.sum(own)
    lambdas = rule.weighting(gradients, losses).to(z.dtype)
    return HeadStep(
        z_gradient=(by_reward * lambdas[:, None])[..., None] * head,
        head_gradient=lambdas @ own,
        losses=losses,
        lambdas=lambdas,
        margins=totals.margins / totals.n_pairs,
        head_gradient_norms=gradients.norm(dim=1),
    )


def _pair_by_pair(z: torch.Tensor, head: torch.Tensor, rewards: torch.Tensor, rule: StepRule, group: Group) -> HeadStep:
    """A group is pair b of every source. Its K sources are gathered from their process, so that all processes solve
    all groups, in the order of ranks, and hold the same smoothed gradients."""
    n_sources, n_pairs = rewards.shape[1:]
    # Every pair stands for itself: sources and pairs become rows of one pair each.
    alone = rewards.reshape(2, n_sources * n_pairs, 1)
    totals = rule.loss.totals(alone)
    losses = rule.loss.losses(totals).reshape(n_sources, n_pairs)
    by_reward = rule.loss.reward_gradients(alone, totals).reshape(2, n_sources, n_pairs)
    gradients = torch.einsum("skb,skbh->bkh", by_reward, z)
    every_loss = _finite_groups(_gathered(losses.T, group))
    every_gradient = _gathered(gradients, group)
    every_lambda = torch.stack([rule.weighting(g, loss) for g, loss in zip(every_gradient, every_loss, strict=True)])
    n_groups = len(every_lambda)
    start = group.rank * n_pairs
    lambdas = every_lambda[start : start + n_pairs] / n_groups  # (B, K)
    margins = _gathered((rewards[0] - rewards[1]).T, group)
    return HeadStep(
        z_gradient=(by_reward * lambdas.T)[..., None] * head,
        head_gradient=torch.einsum("bk,bkh->h", lambdas, gradients),
        losses=every_loss.mean(dim=0),
        lambdas=every_lambda.mean(dim=0),
        margins=margins.mean(dim=0),
        head_gradient_norms=every_gradient.mean(dim=0).norm(dim=1),
    )


def _summed(totals: PairTotals, group: Group) -> PairTotals:
    """One exchange for all sums."""
    parts = torch.stack([totals.n_pairs, totals.losses, totals.margins, *totals.quantities])
    n_pairs, losses, margins, *_ = summed = group.sum(parts)
    return PairTotals(n_pairs, losses, margins, summed[3:])


def _gathered(rows: torch.Tensor, group: Group) -> torch.Tensor:
    """Rows of all processes in the order of ranks, by a sum of blocks that are zero elsewhere. Each has as many."""
    n = len(rows)
    blocks = rows.new_zeros(group.size * n, *rows.shape[1:])
    blocks[group.rank * n : (group.rank + 1) * n] = rows
    return group.sum(blocks)


def _finite_groups(losses: torch.Tensor) -> torch.Tensor:
    _finite(losses.sum(dim=0))
    return losses


def _finite(losses: torch.Tensor) -> torch.Tensor:
    finite = torch.isfinite(losses)
    if not bool(finite.all()):
        bad = [number for number, good in enumerate(finite.tolist()) if not good]
        raise NonFiniteLossError(f"loss not finite for source number {bad}, losses {losses.tolist()}")
    return losses
