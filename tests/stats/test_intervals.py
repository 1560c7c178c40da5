import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from more_repro.stats.intervals import (
    Interval,
    mean_interval,
    normal_interval,
    normal_quantile,
    satterthwaite_df,
    stratified_mean,
    t_interval,
    t_quantile,
    wilson,
)


def test_mean_interval_is_the_t_test():
    values = np.array([0.2, 0.5, 0.1, 0.4])
    interval, test = mean_interval(values, 0.9), stats.ttest_1samp(values, 0)
    assert interval.p == pytest.approx(test.pvalue)
    assert (interval.low, interval.high) == pytest.approx(tuple(test.confidence_interval(0.9)))


def test_mean_interval_without_spread_or_replicates():
    assert mean_interval([0.0, 0.0], 0.95).p == 1
    for one in (mean_interval([0.01, 0.01], 0.95), stratified_mean([0.01, 0.01, 0.3, 0.3], list("aabb"), 0.95)):
        assert np.isnan([one.low, one.high, one.p]).all()  # two seeds that agree are no certainty
    assert stratified_mean([0.0, 0.0], ["a", "a"], 0.95).columns() == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    assert np.isnan(mean_interval([1.0], 0.95).low)
    assert np.isnan(mean_interval([], 0.95).estimate)


def test_stratified_mean_is_the_contrast_of_a_regression():
    values, strata = np.array([1.0, 2.0, 4.0, 8.0, 9.0]), ["a", "a", "a", "b", "b"]
    dummies = np.array([[1, 0]] * 3 + [[0, 1]] * 2)
    test = sm.OLS(values, dummies).fit().t_test([0.5, 0.5])
    interval = stratified_mean(values, strata, 0.95)
    assert interval.estimate == pytest.approx(test.effect[0])
    assert interval.p == pytest.approx(float(test.pvalue))
    assert (interval.low, interval.high) == pytest.approx(tuple(test.conf_int()[0]))
    assert np.isnan(stratified_mean([1.0, 2.0], ["a", "b"], 0.95).low)


@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_is_statsmodels(n, share, confidence):
    count = round(share * n)
    expected = proportion_confint(count, n, 1 - confidence, method="wilson")
    found = wilson(count / n, n, normal_quantile(confidence))
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0 <= found[0] <= found[1] <= 1


def test_wilson_covers_a_small_share_where_the_normal_interval_does_not():
    counts = np.arange(41)
    weights = stats.binom.pmf(counts, 40, 0.05)
    found = np.array([wilson(count / 40, 40, normal_quantile(0.95)) for count in counts])
    covered = (found[:, 0] <= 0.05) & (found[:, 1] >= 0.05)
    half = 1.96 * np.sqrt(counts / 40 * (1 - counts / 40) / 40)
    assert weights @ covered == pytest.approx(0.95, abs=0.02)
    assert weights @ (np.abs(counts / 40 - 0.05) <= half) < 0.9


def test_wilson_holds_a_share_of_all_or_none_to_the_last_bit():
    for n in range(1, 500):
        assert wilson(1.0, n, 1.96)[1] == 1.0
        assert wilson(0.0, n, 1.96)[0] == 0.0


def test_the_normal_interval_is_scipys():
    found = normal_interval(0.4, 0.1, 0.9, 7)
    assert (found.low, found.high) == pytest.approx(stats.norm.interval(0.9, 0.4, 0.1))
    assert (found.n, np.isnan(normal_interval(0.4, np.nan, 0.9).low)) == (7, True)


def test_quantiles_are_scipys():
    assert normal_quantile(0.95) == stats.norm.ppf(0.975)
    df = np.array([1.0, 2.0, 3.7, 10.0, 1e6])
    assert t_quantile(0.9, df) == pytest.approx(stats.t.ppf(0.95, df))
    assert float(t_quantile(0.9, np.inf)) == pytest.approx(normal_quantile(0.9))


def test_satterthwaite_is_welchs():
    first, second = np.array([1.0, 4.0, 2.0, 8.0]), np.array([3.0, 3.5, 9.0, 1.0, 0.0, 2.0])
    welch = CompareMeans(DescrStatsW(first), DescrStatsW(second)).dof_satt()
    variances = [first.var(ddof=1) / first.size, second.var(ddof=1) / second.size]
    assert float(satterthwaite_df(variances, [3, 5])) == pytest.approx(welch)
    of_two = satterthwaite_df([np.array([1.0, 0.0]), np.array([0.0, 0.0])], [7, 9])
    assert of_two.tolist() == [7, np.inf]
    assert float(satterthwaite_df([0.0, 2.0], [0, 9])) == 9  # one seed has no spread and no degree of freedom


def test_an_interval_is_cut_to_what_can_be_and_nan_stays_nan():
    assert Interval(0.5, -0.2, 1.3, 0.1, 7).within(0, 1) == Interval(0.5, 0.0, 1.0, 0.1, 7)
    assert np.isnan(Interval(0.5).within(0, 1).values()[1:]).all()
    assert Interval(0.5, 0.2, 0.3).columns() == {"estimate": 0.5, "low": 0.2, "high": 0.3}
    assert Interval(0.5, 0.2, 0.3).values() == (0.5, 0.2, 0.3)


def test_without_degrees_of_freedom_or_an_error_only_the_estimate_stays():
    for error, df in ((1.0, 0), (np.nan, 5), (np.inf, 5)):
        assert t_interval(2.0, error, df, 0.95, 3).values()[0] == 2
        assert np.isnan([t_interval(2.0, error, df, 0.95, 3).low, t_interval(2.0, error, df, 0.95, 3).p]).all()
    assert t_interval(2.0, 0.0, 5, 0.95, 3).p == 0
    assert t_interval(0.0, 0.0, 5, 0.95, 3).p == 1
