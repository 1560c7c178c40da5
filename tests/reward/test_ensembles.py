"""Ensembles: levels and scales of members do not count, their order does not, and the least is below the mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.reward.ensembles import CAUTION, combine, scales_of
from more_repro.schemes import ENSEMBLES

few = settings(max_examples=40, deadline=None)


def members_of(seed: int, n_members: int = 4) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Rewards of validation pairs (K, 50), rewards to combine (K, 2, 7), different pairs (K,)."""
    rng = np.random.default_rng(seed)
    scale, level = rng.uniform(0.1, 5, (n_members, 1)), rng.normal(0, 10, (n_members, 1))
    validation = rng.normal(size=(n_members, 50)) * scale + level
    rewards = rng.normal(size=(n_members, 2, 7)) * scale[..., None] + level[..., None]
    return validation, rewards, rng.integers(10, 3000, n_members).tolist()


def made(scheme: str, validation: np.ndarray, rewards: np.ndarray, unique: list[int]) -> np.ndarray:
    return combine(scheme, rewards, scales_of(validation, [f"member {n}" for n in range(len(validation))]), unique)


@few
@given(st.sampled_from(ENSEMBLES), st.integers(0, 10**6), st.permutations(range(4)))
def test_the_order_of_members_changes_nothing(scheme, seed, order):
    validation, rewards, unique = members_of(seed)
    other = made(scheme, validation[order], rewards[order], [unique[place] for place in order])
    assert np.allclose(made(scheme, validation, rewards, unique), other)


@few
@given(st.sampled_from(ENSEMBLES), st.integers(0, 10**6), st.floats(-100, 100), st.integers(0, 3))
def test_a_constant_added_to_a_member_changes_nothing(scheme, seed, constant, member):
    validation, rewards, unique = members_of(seed)
    shift = np.zeros(4)
    shift[member] = constant
    other = made(scheme, validation + shift[:, None], rewards + shift[:, None, None], unique)
    assert np.allclose(made(scheme, validation, rewards, unique), other, atol=1e-8)


@few
@given(st.sampled_from(ENSEMBLES), st.integers(0, 10**6), st.floats(0.01, 100))
def test_a_member_of_another_scale_orders_responses_alike(scheme, seed, factor):
    """Margins grow by one factor for all responses: what a temperature does."""
    validation, rewards, unique = members_of(seed)
    factors = np.array([factor, 1, 1, 1])
    other = made(scheme, validation * factors[:, None], rewards * factors[:, None, None], unique)
    ours, sd = made(scheme, validation, rewards, unique), validation.std(axis=1)
    assert np.allclose(other, ours * (sd * factors).mean() / sd.mean())


@few
@given(st.sampled_from(ENSEMBLES), st.integers(0, 10**6), st.integers(1, 5))
def test_equal_members_give_that_member_up_to_its_level(scheme, seed, n):
    validation, rewards, _ = members_of(seed, 1)
    found = made(scheme, np.repeat(validation, n, axis=0), np.repeat(rewards, n, axis=0), list(range(1, n + 1)))
    assert np.allclose(found, rewards[0] - validation.mean())


@few
@given(st.integers(0, 10**6))
def test_the_least_member_and_the_cautious_mean_are_not_above_the_mean(seed):
    validation, rewards, _ = members_of(seed)
    mean = made("ensemble_weighted", validation, rewards, [1, 1, 1, 1])
    assert (made("ensemble_minimum", validation, rewards, [1, 1, 1, 1]) <= mean + 1e-12).all()
    assert (made("ensemble_cautious", validation, rewards, [1, 1, 1, 1]) <= mean + 1e-12).all()


def test_numbers_of_two_members_by_hand():
    validation = np.array([[-1.0, 1.0], [10.0, 14.0]])  # mean 0 and 12, sd 1 and 2
    rewards = np.array([[1.0], [16.0]])  # standardised 1 and 2; mean sd 1.5
    assert made("ensemble_weighted", validation, rewards, [3, 1]) == pytest.approx([1.25 * 1.5])
    assert made("ensemble_minimum", validation, rewards, [3, 1]) == pytest.approx([1.5])
    assert made("ensemble_cautious", validation, rewards, [3, 1]) == pytest.approx([(1.5 - CAUTION * 0.25) * 1.5])


@pytest.mark.parametrize("n", [0, 5])
def test_a_member_without_spread_is_named(n):
    with pytest.raises(ValueError, match=f"second: its {n} validation rewards have standard deviation 0.0"):
        scales_of(np.stack([np.arange(5.0)[:n], np.ones(5)[:n]]), ["first", "second"] if n else ["second", "first"])


def test_another_name_is_no_ensemble():
    validation, rewards, unique = members_of(0)
    with pytest.raises(ValueError, match="'averaging' is no ensemble"):
        made("averaging", validation, rewards, unique)
