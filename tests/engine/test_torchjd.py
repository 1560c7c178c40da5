"""The adapter gives what TorchJD gives, says what it cannot give, and draws from no generator but its own."""

import inspect
import sys

import pytest
import torch
from torchjd import Stateful, aggregation

from more_repro.engine.weighting import WeightingSpec, make_weighting, weighting_module, weighting_packages
from more_repro.engine.weighting.torchjd import OFFERED, REFUSED
from more_repro.params import Scheme

LOSSES = torch.tensor([0.7, 0.4, 0.9, 0.5])


def gradients(seed: int = 0) -> torch.Tensor:
    rows = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows[1] = 0.3 * rows[1] - rows[0]
    return rows


def made(name: str, seed: int = 0, **changes):
    return make_weighting(WeightingSpec(f"torchjd:{name}", **changes), 4, (1, 2, 3, 4), seed)


def theirs(name: str):
    """TorchJD's own, skipping where an extra of it is not installed."""
    try:
        return getattr(aggregation, f"{name}Weighting")(**OFFERED[name])
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", OFFERED)
def test_weights_are_those_of_torchjd_over_their_sum(name):
    rule, weighting = theirs(name), made(name)
    for step in range(3):
        rows = gradients(step)
        gram = rows @ rows.T
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(weighting.state_dict()["generator"])
            expected = rule(gram / gram.diagonal().max())
        found = weighting(rows, LOSSES)
        assert torch.allclose(found, (expected / expected.sum()).float(), atol=1e-6)
        assert (found >= 0).all()


def test_an_extra_that_is_missing_is_named_with_the_command_that_brings_it():
    missing = [name for name in OFFERED if _needs_more(name)]
    if not missing:
        pytest.skip("every extra of torchjd is installed")
    with pytest.raises(ValueError, match=rf"torchjd:{missing[0]}: .* pip install"):
        made(missing[0])


def _needs_more(name: str) -> bool:
    try:
        getattr(aggregation, f"{name}Weighting")(**OFFERED[name])
    except ImportError:
        return True
    return False


def test_every_weighting_of_torchjd_that_needs_only_the_gramian_is_offered_or_refused_with_a_reason():
    from torchjd.aggregation._weighting_bases import _GramianWeighting

    of_gramian = {
        name.removesuffix("Weighting"): one
        for name, one in inspect.getmembers(aggregation, inspect.isclass)
        if issubclass(one, _GramianWeighting)
    }
    assert set(of_gramian) == {*OFFERED, *REFUSED}
    stateful = {name for name, one in of_gramian.items() if issubclass(one, Stateful)}
    assert stateful == {name for name, reason in REFUSED.items() if "checkpoint" in reason}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IMTLG", "torchjd:IMTLG cannot be used here: its weights can be negative"),
        ("GradVac", "a checkpoint cannot hold its state"),
        ("ConFIG", "torchjd:ConFIG cannot be used here: it needs more than the Gramian"),
        ("ExcessMTL", "needs more than the Gramian"),
        ("MGAD", "unknown weighting of torchjd 'MGAD'; the nearest known one is 'MGDA'"),
        ("", "unknown weighting of torchjd ''; .* known: CAGrad, DualProj"),
    ],
)
def test_what_cannot_be_had_is_said(name, message):
    with pytest.raises(ValueError, match=message):
        made(name)


def test_without_torchjd_the_command_that_brings_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(ValueError, match="the weighting 'torchjd:MGDA' needs TorchJD: pip install torchjd"):
        made("MGDA")


def test_the_generator_of_everybody_is_left_alone_and_a_seed_gives_its_own_draws():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (made("PCGrad", seed) for seed in (1, 1, 2))
    draws = [torch.stack([rule(gradients(step), LOSSES) for step in range(30)]) for rule in (first, again, other)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_state_put_back_continues_the_same():
    first, second = made("PCGrad", alpha=0.3), made("PCGrad", seed=9, alpha=0.3)
    for step in range(3):
        first(gradients(step), LOSSES)
    second.load_state_dict({key: value.clone() for key, value in first.state_dict().items()})
    for step in range(3, 6):
        assert torch.equal(first(gradients(step), LOSSES), second(gradients(step), LOSSES))


def test_gradients_of_zero_share_the_weight():
    assert made("MGDA")(torch.zeros(4, 8), LOSSES).tolist() == pytest.approx([0.25] * 4)


def test_a_scheme_may_name_one_and_its_version_counts():
    given = {"trained_on": "mixture", "alpha": 1.0, "normalization": "none", "lambda_scope": "batch", "weights": None}
    assert Scheme(weighting="torchjd:UPGrad", **given).weighting == "torchjd:UPGrad"
    assert weighting_module("torchjd:UPGrad") == "more_repro.engine.weighting.torchjd"
    assert weighting_packages("torchjd:UPGrad") == ("torchjd",)
