import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from more_repro.params import load_params
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval, resample_counts


@pytest.fixture
def stats(root):
    return load_params(root / "params" / "tiny.yaml").stats


def test_a_resample_draws_as_many_units_as_there_are_with_equal_chances(stats):
    counts = resample_counts(30, stats)
    assert counts.shape == (stats.bootstrap_draws, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(30), abs=6 / np.sqrt(stats.bootstrap_draws))
    assert np.array_equal(counts, resample_counts(30, stats))
    assert not np.array_equal(counts, resample_counts(30, stats.model_copy(update={"seed": stats.seed + 1})))


def test_the_percentile_interval_of_a_mean_is_the_normal_one_for_many_units(stats):
    values = np.random.default_rng(0).normal(size=400)
    many = stats.model_copy(update={"bootstrap_draws": 20_000})
    low, high = percentile_interval(resample_counts(400, many) @ values / 400, 0.9)
    half = 1.645 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


@given(arrays(np.float64, (20, 3), elements=st.floats(-5, 5)), st.sampled_from([0.5, 0.9, 0.95]))
def test_percentiles_go_by_column_and_nan_draws_are_left_out(draws, confidence):
    low, high = percentile_interval(draws, confidence)
    for column, pair in zip(draws.T, zip(low, high, strict=True), strict=True):
        assert pair == tuple(np.quantile(column, [(1 - confidence) / 2, (1 + confidence) / 2]))
    gaps = np.vstack([draws, np.full((2, 3), np.nan)])
    assert np.array_equal(percentile_interval(gaps, confidence), (low, high))


def test_a_p_counts_the_observed_value_in_and_equal_draws_in_spite_of_rounding():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert monte_carlo_p(null, 0.1 + 0.2) == 3 / 5  # 0.30000000000000004
    assert monte_carlo_p(null, 9.0) == 1 / 5
    assert monte_carlo_p(null, 0.0) == 1


def test_under_the_null_a_p_is_rarely_small():
    rng = np.random.default_rng(0)
    found = np.array([monte_carlo_p(rng.normal(size=99), float(rng.normal())) for _ in range(4000)])
    for level in (0.05, 0.2, 0.5):
        assert (found <= level).mean() == pytest.approx(level, abs=0.02)
