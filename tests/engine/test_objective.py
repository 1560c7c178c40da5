import pytest
import torch

from more_repro.engine.losses import LOSSES, MeanTerm, PairTerm, make_terms
from more_repro.engine.objective import PairLoss, PairTotals, pair_losses

COEFFICIENTS = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "centered": {"center": 0.3},
    "sum_to_zero": {"sum_to_zero": 0.7},
    "all": {"sum_to_zero": 0.5, "label_smoothing": 0.2, "center": 0.1},
    "none": {"center": 0.0},
}
TERMS = [LOSSES.load(name).Term for name in LOSSES.names()]


def rewards_of(seed=0, shape=(2, 3, 4), scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64) + 0.3


def written_out(coefficients, rewards):
    """L_k as its definition reads, pair by pair."""
    smoothing, center, sum_to_zero = (coefficients.get(n, 0.0) for n in ("label_smoothing", "center", "sum_to_zero"))
    values = []
    for chosen, rejected in zip(*rewards, strict=True):
        right = torch.nn.functional.logsigmoid(chosen - rejected)
        wrong = torch.nn.functional.logsigmoid(rejected - chosen)
        value = (-(1 - smoothing) * right - smoothing * wrong).mean()
        value = value + center * torch.mean((chosen + rejected) ** 2)  # TRL's center_rewards_coefficient
        values.append(value + sum_to_zero * (torch.cat([chosen, rejected]).sum() / len(chosen)) ** 2)
    return torch.stack(values)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.__module__)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_derivative_of_every_registered_term_equals_autograd(term, scale):
    """Of the loss of a source's pairs: the law that a new file in engine/losses must keep."""
    made, rewards = term(0.3), rewards_of(scale=scale).requires_grad_()
    n_pairs = rewards.shape[2]
    if isinstance(made, PairTerm):
        value, derivative = made.value(rewards).mean(dim=1), made.derivative(rewards.detach())
    else:
        assert isinstance(made, MeanTerm)
        mean = made.quantity(rewards).mean(dim=1)
        value, derivative = made.value(mean), made.derivative(rewards.detach(), mean.detach())
    assert value.shape == (rewards.shape[1],)
    value.sum().backward()
    assert torch.allclose(derivative.expand_as(rewards) / n_pairs, rewards.grad, rtol=1e-12, atol=1e-14)


def test_the_registered_terms_are_the_files_of_the_folder():
    assert {"center", "label_smoothing", "sum_to_zero"} == set(LOSSES.names())
    assert [type(term) for term in make_terms(dict.fromkeys(reversed(LOSSES.names()), 0.1))] == TERMS


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_losses_and_reward_gradients_equal_autograd(name):
    loss, rewards = PairLoss(COEFFICIENTS[name]), rewards_of().requires_grad_()
    totals = loss.totals(rewards.detach())
    expected = written_out(COEFFICIENTS[name], rewards)
    assert torch.allclose(loss.losses(totals), expected.detach(), atol=1e-14)
    expected.sum().backward()
    assert (loss.reward_gradients(rewards.detach(), totals) - rewards.grad).abs().max() < 1e-14


def test_bradley_terry_gradient_is_the_closed_form_of_the_paper():
    """g_k = -mean sigmoid(-D) (z_chosen - z_rejected)."""
    z = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rewards = z @ torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    by_reward = PairLoss().reward_gradients(rewards, PairLoss().totals(rewards))
    found = torch.einsum("skb,skbh->kh", by_reward, z)
    weights = torch.sigmoid(rewards[1] - rewards[0])
    assert torch.allclose(found, -(weights[..., None] * (z[0] - z[1])).mean(dim=1), atol=1e-14)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_totals_of_parts_add_up_to_those_of_the_whole(name):
    loss, rewards = PairLoss(COEFFICIENTS[name]), rewards_of()
    parts = [loss.totals(rewards[:, :, :1]), loss.totals(rewards[:, :, 1:])]
    added = PairTotals(*(sum(values) for values in zip(*map(_fields, parts), strict=True)))
    whole = loss.totals(rewards)
    assert torch.allclose(loss.losses(added), loss.losses(whole), atol=1e-14)
    halves = [loss.reward_gradients(rewards[:, :, cut], added) for cut in (slice(1), slice(1, None))]
    assert torch.allclose(torch.cat(halves, dim=2), loss.reward_gradients(rewards, whole), atol=1e-14)


def _fields(totals):
    return totals.n_pairs, totals.losses, totals.margins, totals.quantities


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_a_pair_moves_its_own_source_only(name):
    """The published code reads rows by position: with B = 2 it sees 5 of 10 pairs. Here each pair moves its source."""
    loss, rewards = PairLoss(COEFFICIENTS[name]), rewards_of(shape=(2, 5, 2))
    before = loss.losses(loss.totals(rewards))
    for source in range(5):
        for pair in range(2):
            changed = rewards.clone()
            changed[0, source, pair] += 1
            moved = loss.losses(loss.totals(changed)) != before
            assert moved.tolist() == [number == source for number in range(5)]


def test_pair_loss_values_and_no_overflow():
    margins = torch.tensor([0.0, 1.0, -200.0, 200.0])
    expected = [0.693147, 0.313262, 200.0, 0.0]
    assert pair_losses(margins).tolist() == pytest.approx(expected, abs=1e-5)
    smoothed = PairLoss({"label_smoothing": 0.1})
    rewards = torch.stack([margins[None], torch.zeros(1, 4)])
    assert float(smoothed.losses(smoothed.totals(rewards))) == pytest.approx((0.6931 + 0.4133 + 180 + 20) / 4, abs=1e-4)
    assert torch.isfinite(smoothed.reward_gradients(1e4 * rewards, smoothed.totals(1e4 * rewards))).all()


def test_smoothing_stops_at_a_finite_margin():
    """With a share e of labels taken to be wrong the best margin is log((1 - e) / e), where Bradley-Terry has none."""
    best = torch.tensor([[[torch.logit(torch.tensor(0.9))]], [[0.0]]])
    smoothed = PairLoss({"label_smoothing": 0.1})
    assert smoothed.reward_gradients(best, smoothed.totals(best)).abs().max() < 1e-7


def test_sum_to_zero_ignores_margins_and_centering_does_not_act_on_opposite_rewards():
    chosen = torch.tensor([[1.0, -3.0]])
    for loss in (PairLoss({"sum_to_zero": 1.0}), PairLoss({"center": 1.0})):
        opposite = torch.stack([chosen, -chosen])
        plain = PairLoss().losses(PairLoss().totals(opposite))
        assert torch.equal(loss.losses(loss.totals(opposite)), plain)
    # Sums that cancel over the batch cost nothing in one, something in the other.
    cancelling = torch.stack([torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, -1.0]])])
    both = (PairLoss({"sum_to_zero": 1.0}), PairLoss({"center": 1.0}))
    extra = [float(one.losses(one.totals(cancelling))) for one in both]
    assert extra == pytest.approx([0.693147, 0.693147 + 4], abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"label_smoothing": 0.5}, r"losses.label_smoothing lies in \[0, 0.5\), found 0.5"),
        ({"label_smoothing": -0.1}, r"losses.label_smoothing lies in \[0, 0.5\), found -0.1"),
        ({"center": -1.0}, "losses.center is not negative, found -1.0"),
        ({"sum_to_zero": float("inf")}, "losses.sum_to_zero must be a finite number, found inf"),
        ({"centre": 1.0}, "unknown loss term 'centre'; the nearest known one is 'center'"),
    ],
)
def test_senseless_coefficients_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        PairLoss(wrong)


def test_two_terms_cannot_both_stand_in_the_place_of_bradley_terry(monkeypatch):
    monkeypatch.setattr(LOSSES.load("center").Term, "replaces_bradley_terry", True)
    with pytest.raises(ValueError, match="2 terms of losses would each replace Bradley-Terry"):
        PairLoss({"center": 0.1, "label_smoothing": 0.1})
