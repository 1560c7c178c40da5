import pytest
import torch
from scipy.stats import kstest

from more_repro.params import Scheme
from more_repro.reward.weighting import MODULES, make_weighting


def scheme(weighting: str, alpha: float = 0.99, normalization: str = "l2") -> Scheme:
    return Scheme(weighting=weighting, trained_on="mixture", alpha=alpha, normalization=normalization)


def gradients(seed: int, n_sources: int = 3, hidden: int = 8) -> torch.Tensor:
    return torch.randn(n_sources, hidden, generator=torch.Generator().manual_seed(seed)) + 0.2


LOSSES = torch.ones(3)


@pytest.mark.parametrize("name", MODULES)
def test_lambda_lies_on_simplex(name):
    weighting = make_weighting(scheme(name), 3, (5, 10, 20), 0)
    for step in range(5):
        weights = weighting(gradients(step), LOSSES)
        assert weights.shape == (3,)
        assert weights.dtype == torch.float32
        assert (weights >= 0).all()
        assert float(weights.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", MODULES)
def test_one_source_gets_all_the_weight(name):
    assert make_weighting(scheme(name), 1, (7,), 0)(gradients(0, 1), torch.ones(1)).tolist() == [1.0]


@pytest.mark.parametrize("name", MODULES)
def test_state_put_back_continues_the_same(name):
    first, second = (make_weighting(scheme(name, alpha=0.3), 3, (5, 10, 20), 4) for _ in range(2))
    for step in range(3):
        first(gradients(step), LOSSES)
    second.load_state_dict(first.state_dict())
    for step in range(3, 6):
        assert torch.equal(first(gradients(step), LOSSES), second(gradients(step), LOSSES))


def test_uniform_and_proportional_values():
    assert make_weighting(scheme("uniform"), 3, (5, 10, 35), 0)(gradients(0), LOSSES).tolist() == pytest.approx(
        [1 / 3] * 3
    )
    fixed = make_weighting(scheme("proportional"), 3, (5, 10, 35), 0)(gradients(0), LOSSES)
    assert fixed.tolist() == pytest.approx([0.1, 0.2, 0.7])


def test_random_weights_follow_dirichlet_and_their_seed():
    draw = make_weighting(scheme("random"), 3, (1, 1, 1), 11)
    again = make_weighting(scheme("random"), 3, (1, 1, 1), 11)
    other = make_weighting(scheme("random"), 3, (1, 1, 1), 12)
    draws = torch.stack([draw(gradients(0), LOSSES) for _ in range(2000)])
    assert torch.equal(draws[0], again(gradients(5), LOSSES))
    assert not torch.equal(draws[0], other(gradients(0), LOSSES))
    # A coordinate of Dirichlet(a, a, a) is Beta(a, 2a).
    assert kstest(draws[:, 0].double().numpy(), "beta", (1.2, 2.4)).pvalue > 0.001


def test_alpha_is_the_share_of_the_new_gradient():
    old, new = gradients(0).double(), gradients(1).double()
    weighting = make_weighting(scheme("more", alpha=0.25, normalization="none"), 3, (1, 1, 1), 0)
    weighting(old, LOSSES)
    assert torch.equal(weighting.state_dict()["smoothed"], old)
    weighting(new, LOSSES)
    assert torch.allclose(weighting.state_dict()["smoothed"], 0.75 * old + 0.25 * new)


def test_normalized_more_ignores_the_length_of_one_gradient():
    longer = gradients(2).clone()
    longer[1] *= 100
    fresh = (make_weighting(scheme("more"), 3, (1, 1, 1), 0) for _ in range(4))
    assert torch.allclose(next(fresh)(gradients(2), LOSSES), next(fresh)(longer, LOSSES), atol=1e-6)
    plain = [make_weighting(scheme("more", normalization="none"), 3, (1, 1, 1), 0) for _ in range(2)]
    assert not torch.allclose(plain[0](gradients(2), LOSSES), plain[1](longer, LOSSES), atol=1e-2)


def test_normalized_more_with_two_sources_is_vanilla():
    """Two gradients of one length: the nearest point of their segment is its middle, whatever their angle."""
    weighting = make_weighting(scheme("more", alpha=0.05), 2, (1, 1), 0)
    for step in range(5):
        assert weighting(gradients(step, 2), torch.ones(2)).tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_missing_count_is_an_error():
    with pytest.raises(ValueError, match="each of 3 sources"):
        make_weighting(scheme("uniform"), 3, (1, 2), 0)
