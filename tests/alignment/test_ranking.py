"""Ranking: equal to a logistic regression on the same games, whatever the order of policies, winning all or none."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.alignment.judging.ranking import PRIOR_GAMES, bradley_terry, ranks, strengths
from more_repro.alignment.sampling.best_of_n import reference_key
from more_repro.params import Stats

STATS = Stats(seed=0, bins=10, null_draws=10, bootstrap_draws=200, permutation_draws=10, confidence=0.95)
few = settings(max_examples=20, deadline=None)


def keys_of(n: int) -> pd.DataFrame:
    return pd.DataFrame([reference_key(f"policy{number}") for number in range(n)])


def prompts_of(n: int, sources=("helpful",)) -> pd.DataFrame:
    return pd.DataFrame(
        {"prompt_id": [f"p{p}" for p in range(n)], "source": [sources[p % len(sources)] for p in range(n)]}
    )


def games(truth: np.ndarray, n_prompts: int, seed: int = 0, ties: float = 0.2, missing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = len(truth)
    chance = 1 / (1 + np.exp(-(truth[:, None] - truth[None, :])))
    points = (rng.random((n_prompts, size, size)) < chance).astype(float)
    points[rng.random(points.shape) < ties] = 0.5
    points[rng.random(points.shape) < missing] = np.nan
    upper = np.triu(np.ones((size, size), dtype=bool), 1)
    return np.where(upper, points, np.where(upper.T, 1 - points.transpose(0, 2, 1), np.nan))


def logistic(points: np.ndarray, prior: float = PRIOR_GAMES) -> np.ndarray:
    """Strengths by statsmodels: a row for each pair with its points, a tie half to either; and the prior."""
    size = points.shape[1]
    rows, wins = [], []
    for first in range(size):
        for second in range(first + 1, size):
            valid = points[:, first, second][~np.isnan(points[:, first, second])]
            row = np.zeros(size)
            row[first], row[second] = 1, -1
            rows.append(row)
            wins.append([valid.sum(), (1 - valid).sum()])
        row = np.zeros(size)
        row[first] = 1
        rows.append(row)
        wins.append([prior / 2, prior / 2])
    kept = [number for number, (won, lost) in enumerate(wins) if won + lost > 0]
    model = sm.GLM(np.array(wins)[kept], np.array(rows)[kept], family=sm.families.Binomial())
    found = model.fit(tol=1e-12, maxiter=200).params
    return found - found.mean()


@few
@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.PerfectSeparationWarning")
@given(st.integers(2, 6), st.integers(0, 999), st.sampled_from([0.0, 0.3]))
def test_strengths_are_those_of_a_logistic_regression(n, seed, missing):
    truth = np.random.default_rng(seed).normal(0, 1, n)
    points = games(truth, 80, seed, missing=missing)
    table = bradley_terry(keys_of(n), prompts_of(80), points, STATS)
    assert np.allclose(table[table["source"] == "all"]["strength"], logistic(points), atol=1e-6)


def test_without_the_prior_a_large_study_has_nearly_the_same_strengths():
    points = games(np.array([0.5, 0.0, -0.5, 0.2]), 800)
    table = bradley_terry(keys_of(4), prompts_of(800), points, STATS)
    assert np.allclose(table[table["source"] == "all"]["strength"], logistic(points, prior=1e-9), atol=1e-3)


def test_two_policies_have_the_logit_of_their_points():
    """Wins and half of the ties, and half a game of the prior on each side of each."""
    points = np.full((10, 2, 2), np.nan)
    points[:, 0, 1] = [1] * 6 + [0.5] * 2 + [0] * 2
    found = bradley_terry(keys_of(2), prompts_of(10), points, STATS).query("source == 'all'")["strength"].to_numpy()
    difference = found[0] - found[1]
    assert found.sum() == pytest.approx(0)
    own = 1 / (1 + np.exp(-difference / 2))
    assert 10 / (1 + np.exp(-difference)) + own == pytest.approx(7 + 0.5)


@few
@given(st.permutations(range(5)), st.integers(0, 99))
def test_the_order_of_policies_changes_nothing(order, seed):
    points = games(np.linspace(-1, 1, 5), 40, seed)
    first = bradley_terry(keys_of(5), prompts_of(40), points, STATS).set_index(["source", "policy"])
    mixed = points[:, order][:, :, order]
    other = bradley_terry(keys_of(5).iloc[list(order)], prompts_of(40), mixed, STATS).set_index(["source", "policy"])
    pd.testing.assert_frame_equal(first, other.loc[first.index], check_exact=False, rtol=1e-6, atol=1e-8)


def test_one_side_of_each_game_is_enough():
    points = games(np.array([0.3, -0.3, 0.0]), 30)
    half = np.where(np.triu(np.ones((3, 3), dtype=bool), 1), points, np.nan)
    first, other = (bradley_terry(keys_of(3), prompts_of(30), table, STATS) for table in (points, half))
    pd.testing.assert_frame_equal(first, other)


def test_policies_that_never_win_or_lose_have_finite_strengths_in_order():
    points = games(np.zeros(4), 50, ties=0)
    points[:, 0, 1:], points[:, 1:, 0] = 1.0, 0.0
    points[:, 3, :3], points[:, :3, 3] = 0.0, 1.0
    table = bradley_terry(keys_of(4), prompts_of(50), points, STATS).query("source == 'all'")
    assert np.isfinite(table[["strength", "strength_low", "strength_high"]]).all(axis=None)
    assert table["rank"].tolist()[0] == 1
    assert table["rank"].tolist()[3] == 4
    assert table["rank_high"].tolist()[0] == 1


@few
@given(st.integers(0, 999))
def test_hard_tables_settle(seed):
    """Cycles without ties, one-sided chains, games by the hundred thousand."""
    rng = np.random.default_rng(seed)
    won = rng.choice([0.0, 1.0, 1e5], size=(20, 6, 6), p=[0.6, 0.2, 0.2])
    won[:, np.arange(6), np.arange(6)] = 0
    found = strengths(won, won + won.transpose(0, 2, 1))
    assert np.isfinite(found).all()
    assert np.allclose(found.sum(axis=1), 0)


def test_intervals_cover_known_strengths():
    truth = np.array([0.6, 0.1, -0.2, -0.5])
    inside = 0
    for seed in range(60):
        points = games(truth, 60, seed, ties=0.0)
        table = bradley_terry(keys_of(4), prompts_of(60), points, STATS).query("source == 'all'")
        inside += ((table["strength_low"] <= truth) & (truth <= table["strength_high"])).sum()
    assert 0.9 < inside / 240 < 0.99


def test_equal_policies_share_a_rank_and_rank_intervals_hold_the_rank():
    points = games(np.array([1.0, 0.0, 0.0, -1.0]), 100)
    points[:, 2], points[:, :, 2] = points[:, 1], points[:, :, 1]
    points[:, [1, 2], [2, 1]] = 0.5
    points[:, 2, 2] = np.nan
    points[:, 0, 2], points[:, 3, 2] = points[:, 0, 1], points[:, 3, 1]
    table = bradley_terry(keys_of(4), prompts_of(100), points, STATS).query("source == 'all'")
    assert table["rank"].tolist() == [1, 2, 2, 4]
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    assert ranks(np.array([[0.0, 1.0, 0.0]])).tolist() == [[2, 1, 2]]


def test_counts_are_of_valid_games():
    points = games(np.zeros(3), 20, missing=0.0)
    points[:, 0, 2] = points[:, 2, 0] = np.nan
    points[:5] = np.nan
    table = bradley_terry(keys_of(3), prompts_of(20, ("a", "b")), points, STATS)
    assert table["source"].drop_duplicates().tolist() == ["all", "a", "b"]
    assert table.query("source == 'all'")["n_opponents"].tolist() == [1, 2, 1]
    assert table.query("source == 'all'")["n_prompts"].tolist() == [15, 15, 15]


def test_policies_that_no_comparison_connects_are_named():
    points = np.full((6, 4, 4), np.nan)
    points[:, 0, 1] = points[:, 2, 3] = 1.0
    with pytest.raises(ValueError, match="leads from policy policy0 to policy2"):
        bradley_terry(keys_of(4), prompts_of(6), points, STATS)


def test_a_source_that_does_not_connect_them_has_no_rows():
    points = games(np.zeros(3), 6)
    points[::2, :, 2] = points[::2, 2, :] = np.nan
    table = bradley_terry(keys_of(3), prompts_of(6, ("a", "b")), points, STATS)
    assert table["source"].drop_duplicates().tolist() == ["all", "b"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [((1, 0, 1), 2.0, r"prompt 1, policy 0 against 1: points 2.0"), ((1, 0, 1), 0.5, "and 1 in all")],
)
def test_points_that_are_none_are_refused(place, value, message):
    points = games(np.zeros(3), 4, ties=0)
    points[place] = value
    with pytest.raises(ValueError, match=message):
        bradley_terry(keys_of(3), prompts_of(4), points, STATS)
    with pytest.raises(ValueError, match="shape"):
        bradley_terry(keys_of(2), prompts_of(4), points, STATS)
