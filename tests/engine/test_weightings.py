"""Laws that hold for every weighting, and values of those that do not look at gradients."""

import pytest
import torch
from scipy.stats import kstest

from more_repro.engine.weighting import Normalization, Weighting, WeightingSpec, make_weighting, weighting_names

COUNTS = (5, 10, 20, 40, 80)
LOSSES = torch.tensor([0.7, 0.4, 0.9, 0.5, 0.6])
RULES = ("more", "frank_wolfe", "upgrad", "cagrad", "pcgrad", "nash_mtl")  # those that look at gradients
NORMALIZATIONS = ("none", "l2", "loss", "l2_loss")
AGREEMENT = {"more": 1e-5, "frank_wolfe": 2e-2, "upgrad": 1e-5, "cagrad": 1e-4, "nash_mtl": 1e-5, "pcgrad": 1e-5}


def make(
    name: str, n_sources: int = 3, alpha: float = 1.0, normalization: Normalization = "l2", seed: int = 0
) -> Weighting:
    spec = WeightingSpec(name, alpha, normalization, (0.2, 0.5, 0.3, 0.1, 0.4)[:n_sources])
    return make_weighting(spec, n_sources, COUNTS[:n_sources], seed)


def gradients(kind: str, n_sources: int = 3, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(n_sources, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if kind == "agreeing":
        return rows + 1
    if kind == "conflicting":
        rows[1] = -rows[0] + 0.3 * rows[1]
    if kind == "equal":
        return rows[:1].repeat(n_sources, 1)
    if kind == "dependent":
        return rows[:, :1] * rows[:1]
    if kind == "badly_scaled":
        return rows * torch.logspace(-6, 6, n_sources, dtype=torch.float64)[:, None]
    if kind == "one_zero":
        rows[-1] = 0
    return rows


KINDS = ("random", "agreeing", "conflicting", "equal", "dependent", "badly_scaled", "one_zero")


@pytest.mark.parametrize("name", weighting_names())
@pytest.mark.parametrize("n_sources", [2, 5])
def test_lambda_lies_on_simplex(name, n_sources):
    settings = [(kind, normalization) for kind in KINDS for normalization in NORMALIZATIONS]
    for kind, normalization in settings if name in RULES else settings[:1]:
        weighting = make(name, n_sources, 0.9, normalization)
        for step in range(2):
            weights = weighting(gradients(kind, n_sources, step).float(), LOSSES[:n_sources])
            assert weights.shape == (n_sources,)
            assert weights.dtype == torch.float32
            assert (weights >= 0).all()
            assert float(weights.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", weighting_names())
def test_one_source_gets_all_the_weight(name):
    assert make(name, 1)(gradients("random", 1), torch.ones(1)).tolist() == [1.0]


@pytest.mark.parametrize("name", weighting_names())
def test_gradients_of_zero_are_no_error(name):
    weights = make(name)(torch.zeros(3, 8), torch.zeros(3))
    assert float(weights.sum()) == pytest.approx(1)
    if name in RULES:
        assert weights.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("name", [name for name in RULES if name != "frank_wolfe"])
def test_equal_gradients_give_equal_weights(name):
    weights = make(name, 5)(gradients("equal", 5), LOSSES)
    assert weights.tolist() == pytest.approx([0.2] * 5, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in RULES if name != "pcgrad"])
@pytest.mark.parametrize("kind", ["random", "agreeing", "conflicting", "one_zero"])
def test_order_of_sources_does_not_matter(name, kind):
    order = [3, 0, 4, 2, 1]
    rows = gradients(kind, 5)
    for normalization in NORMALIZATIONS:
        expected = make(name, 5, 1.0, normalization)(rows, LOSSES)[order]
        found = make(name, 5, 1.0, normalization)(rows[order], LOSSES[order])
        assert torch.allclose(found, expected, atol=AGREEMENT[name])


def test_order_of_two_sources_does_not_matter_to_pcgrad():
    rows = gradients("conflicting", 2)
    found = make("pcgrad", 2)(rows.flip(0), LOSSES[:2])
    assert torch.allclose(found.flip(0), make("pcgrad", 2)(rows, LOSSES[:2]), atol=1e-7)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["random", "conflicting"])
def test_scale_of_all_gradients_does_not_matter(name, kind):
    rows = gradients(kind, 4)
    for normalization in ("none", "l2"):
        found = [make(name, 4, 1.0, normalization)(10.0**power * rows, LOSSES[:4]) for power in (-6, 0, 6)]
        assert torch.allclose(found[0], found[1], atol=AGREEMENT[name])
        assert torch.allclose(found[2], found[1], atol=AGREEMENT[name])


@pytest.mark.parametrize("name", RULES)
def test_under_l2_the_length_of_one_gradient_does_not_matter(name):
    rows = gradients("conflicting", 4)
    longer = rows * torch.tensor([1.0, 1e4, 1e-4, 3.0])[:, None]
    found = [make(name, 4)(one, LOSSES[:4]) for one in (rows, longer)]
    assert torch.allclose(*found, atol=AGREEMENT[name])
    if name != "pcgrad":
        plain = [make(name, 4, 1.0, "none")(one, LOSSES[:4]) for one in (rows, longer)]
        assert not torch.allclose(*plain, atol=1e-2)


@pytest.mark.parametrize("name", RULES)
def test_loss_normalizations_divide_by_the_loss(name):
    rows, losses = gradients("conflicting", 4), LOSSES[:4]
    for normalization, same in (("loss", "none"), ("l2_loss", "l2")):
        unit = rows if same == "none" else rows / rows.norm(dim=1, keepdim=True)
        expected = make(name, 4, 1.0, "none")(unit / losses.double()[:, None], losses)
        assert torch.allclose(make(name, 4, 1.0, normalization)(rows, losses), expected, atol=AGREEMENT[name])


@pytest.mark.parametrize("name", weighting_names())
def test_state_put_back_continues_the_same(name):
    first, second = (make(name, alpha=0.3, seed=4) for _ in range(2))
    for step in range(3):
        first(gradients("conflicting", seed=step), LOSSES[:3])
    second.load_state_dict({key: value.clone() for key, value in first.state_dict().items()})
    for step in range(3, 6):
        rows = gradients("conflicting", seed=step)
        assert torch.equal(first(rows, LOSSES[:3]), second(rows, LOSSES[:3]))


@pytest.mark.parametrize("name", RULES)
def test_alpha_is_the_share_of_the_new_gradient(name):
    old, new = gradients("random"), gradients("conflicting", seed=1)
    weighting = make(name, alpha=0.25, normalization="none")
    weighting(old, LOSSES[:3])
    assert torch.equal(weighting.state_dict()["smoothed"], old)
    weighting(new, LOSSES[:3])
    assert torch.allclose(weighting.state_dict()["smoothed"], 0.75 * old + 0.25 * new)


def test_weights_known_beforehand():
    uniform, proportional, fixed = (
        make(n)(gradients("random"), LOSSES[:3]) for n in ("uniform", "proportional", "fixed")
    )
    assert uniform.tolist() == pytest.approx([1 / 3] * 3)
    assert proportional.tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert fixed.tolist() == pytest.approx([0.2, 0.5, 0.3])


def test_random_weights_follow_dirichlet_and_their_seed():
    draw, again, other = make("random", seed=11), make("random", seed=11), make("random", seed=12)
    draws = torch.stack([draw(gradients("random"), LOSSES[:3]) for _ in range(2000)])
    assert torch.equal(draws[0], again(gradients("agreeing"), LOSSES[:3]))
    assert not torch.equal(draws[0], other(gradients("random"), LOSSES[:3]))
    # A coordinate of Dirichlet(a, a, a) is Beta(a, 2a).
    assert kstest(draws[:, 0].double().numpy(), "beta", (1.2, 2.4)).pvalue > 0.001


def test_normalized_more_with_two_sources_is_vanilla():
    """Two gradients of one length: the nearest point of their segment is its middle, whatever their angle."""
    weighting = make("more", 2, alpha=0.05)
    for step in range(5):
        assert weighting(gradients("random", 2, step), torch.ones(2)).tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_more_with_two_sources_is_the_closed_form():
    """lambda_1 = g_2.(g_2 - g_1) / |g_1 - g_2|^2, cut to [0, 1]."""
    for seed in range(20):
        first, second = rows = gradients("agreeing", 2, seed)
        expected = float((second @ (second - first) / (first - second).square().sum()).clamp(0, 1))
        found = make("more", 2, normalization="none")(rows, LOSSES[:2])
        assert found.tolist() == pytest.approx([expected, 1 - expected], abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (WeightingSpec("nope"), "unknown weighting 'nope'; known: uniform"),
        (WeightingSpec("fixed"), "a weight for each of 3 sources, found None"),
        (WeightingSpec("fixed", weights=(1.0,)), "a weight for each of 3 sources"),
        (WeightingSpec("fixed", weights=(0.0, 0.0, 0.0)), "one of them is positive"),
        (WeightingSpec("fixed", weights=(1.0, -1.0, 2.0)), "not negative"),
        (WeightingSpec("more", alpha=1.5), r"alpha lies in \[0, 1\]"),
        (WeightingSpec("more", normalization="length"), "found 'length'"),  # type: ignore[arg-type]
    ],
)
def test_senseless_specs_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        make_weighting(spec, 3, (1, 2, 3), 0)


def test_missing_count_is_an_error():
    with pytest.raises(ValueError, match="each of 3 sources"):
        make_weighting(WeightingSpec("uniform"), 3, (1, 2), 0)


@pytest.mark.parametrize(("name", "own"), [*((name, (1.0, "none")) for name in RULES[2:]), ("more", (0.99, "l2"))])
def test_what_a_spec_leaves_open_is_the_rules_own(name, own):
    specs = (WeightingSpec(name), WeightingSpec(name, *own))
    found = [make_weighting(spec, 3, COUNTS[:3], 0) for spec in specs]
    for seed in range(3):
        left_open, said = (rule(gradients("conflicting", 3, seed), LOSSES[:3]) for rule in found)
        assert torch.equal(left_open, said)
