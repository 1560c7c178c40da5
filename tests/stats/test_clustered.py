"""Units that are drawn by cluster: what clustering changes, and what it must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from more_repro.stats import clustered
from more_repro.stats.intervals import mean_interval

SHARES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=50).map(np.array)
CODES = st.lists(st.integers(0, 12), min_size=2, max_size=60).map(np.array)


def numbers(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@given(CODES)
def test_the_variance_of_a_sum_is_that_of_the_mean_times_n_squared(codes):
    values = numbers(len(codes))
    of_sum = clustered.variance_of_sum(values - values.mean(), codes)
    of_mean = clustered.variance_of_mean(values, codes)
    assert of_mean * len(codes) ** 2 == pytest.approx(of_sum, rel=1e-12, nan_ok=True)
    assert np.isnan(of_sum) == (clustered.n_clusters(codes) < 2) == (len(set(codes.tolist())) < 2)


def test_with_clusters_of_one_the_variance_of_a_mean_is_the_textbook_one():
    values = numbers(30)
    assert clustered.variance_of_mean(values, np.arange(30)) == pytest.approx(values.var(ddof=1) / 30)
    whole, plain = clustered.clustered_mean(values, np.arange(30), 0.9), mean_interval(values, 0.9)
    assert whole.values() == pytest.approx(plain.values())


@given(CODES)
def test_names_of_clusters_and_gaps_between_them_do_not_count(codes):
    values = numbers(len(codes))
    other = 3 * (codes.max() - codes) + 2
    for function in (clustered.variance_of_sum, clustered.variance_of_mean):
        assert function(values, other) == pytest.approx(function(values, codes), rel=1e-9, nan_ok=True)


@given(values=SHARES)
def test_share_intervals_hold_the_share_and_stay_in_range(values):
    share = clustered.clustered_share(values, np.arange(len(values)) // 2, 0.95)
    assert 0 <= share.low <= share.estimate == values.mean() <= share.high <= 1


@given(values=SHARES, copies=st.integers(1, 5))
def test_copies_of_a_clusters_units_carry_no_information(values, copies):
    """A clustered interval of units repeated under their own cluster is the interval of the units."""
    once = clustered.clustered_mean(values, np.arange(len(values)), 0.9)
    repeated = clustered.clustered_mean(np.repeat(values, copies), np.repeat(np.arange(len(values)), copies), 0.9)
    assert repeated.values() == pytest.approx(once.values(), nan_ok=True)


def test_without_clusters_the_share_interval_is_wilsons():
    values = np.array([1.0] * 30 + [0.0] * 10)
    share, low, high = clustered.clustered_share(values, np.arange(40), 0.95).values()
    # n/(n-1) in the variance and Student's quantile make ours wider.
    plain_low, plain_high = proportion_confint(30, 40, method="wilson")
    assert (share, low, high) == pytest.approx((0.75, plain_low, plain_high), abs=0.008)
    assert low < plain_low < plain_high < high
    many = clustered.clustered_share(np.tile(values, 1000), np.arange(40_000), 0.95)
    assert many.values() == pytest.approx((0.75, *proportion_confint(30_000, 40_000, method="wilson")), abs=2e-5)


@pytest.mark.parametrize("n_prompts", [3, 6])
def test_intervals_of_few_clusters_cover_as_often_as_they_say(n_prompts):
    rng = np.random.default_rng(n_prompts)
    prompts = np.arange(2 * n_prompts) // 2
    shifts = rng.normal(size=(2000, n_prompts))[:, prompts] + 0.3 * rng.normal(size=(2000, 2 * n_prompts))
    found = np.array([clustered.clustered_mean(values, prompts, 0.9).values() for values in shifts])
    assert np.mean((found[:, 1] <= 0) & (found[:, 2] >= 0)) == pytest.approx(0.9, abs=0.02)


def test_share_intervals_of_clustered_units_cover_where_those_of_single_units_do_not():
    """Ten units of a cluster agree: 60 clusters, 600 units."""
    rng = np.random.default_rng(0)
    prompts = np.arange(600) // 10
    covered = []
    for _ in range(1000):
        values = (rng.random(60) < 0.7).astype(np.float64)[prompts]
        found = [clustered.clustered_share(values, codes, 0.9) for codes in (prompts, np.arange(600))]
        covered.append([one.low <= 0.7 <= one.high for one in found])
    by_cluster, by_unit = np.mean(covered, axis=0)
    assert by_cluster == pytest.approx(0.9, abs=0.03)
    assert by_unit < 0.5


def test_the_effective_number_is_that_of_independent_units_with_this_variance():
    assert clustered.effective_number(0.3, 0.3 * 0.7 / 25, 100, 40) == pytest.approx(25)
    assert clustered.effective_number(0.3, 0.3 * 0.7 / 250, 100, 40) == 100
    assert clustered.effective_number(0.3, 1.0, 100, 40) == 1
    for share, variance in ((1.0, 0.0), (0.5, 0.0), (0.5, np.nan)):
        assert clustered.effective_number(share, variance, 100, 40) == 40
    values = (numbers(60) > 0).astype(float)
    variance = clustered.variance_of_mean(values, np.arange(60))
    assert clustered.effective_number(values.mean(), variance, 60, 60) == pytest.approx(59)


def test_two_clusters_leave_a_share_all_but_open():
    share = clustered.clustered_share(np.array([1.0, 1.0]), np.arange(2), 0.95)
    assert (share.estimate, share.high) == (1, 1)
    assert share.low < 0.05


def test_a_variance_of_another_reason_widens_a_share():
    values = np.array([1.0] * 30 + [0.0] * 10)
    plain = clustered.clustered_share(values, np.arange(40), 0.9)
    wider = clustered.clustered_share(values, np.arange(40), 0.9, more_variance=0.01)
    assert wider.low < plain.low < plain.high < wider.high


def test_intervals_of_too_few_clusters_are_not_defined():
    empty = np.array([]), np.array([], dtype=np.int64)
    assert np.isnan(clustered.clustered_mean(*empty, 0.9).estimate)
    assert np.isnan(clustered.clustered_share(*empty, 0.9).estimate)
    assert np.isnan(clustered.clustered_quantile(*empty, 0.5, 0.9).estimate)
    assert np.isnan(clustered.clustered_mean(np.array([1.0, 2.0]), np.array([0, 0]), 0.9).low)
    share = clustered.clustered_share(np.array([1.0, 0.0]), np.array([0, 0]), 0.9)
    assert share.high - share.low > 0.7


@given(values=st.lists(st.integers(0, 20), min_size=2, max_size=60), share=st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_is_numpys_and_its_interval_holds_it(values, share):
    found = clustered.clustered_quantile(np.array(values, float), np.arange(len(values)), share, 0.95)
    assert found.estimate == np.quantile(values, share, method="inverted_cdf")
    assert found.low <= found.estimate <= found.high
