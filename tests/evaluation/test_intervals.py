import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from more_repro.stats.intervals import holm, mean_interval, stratified_mean, wilson
from more_repro.stats.random import generator


def test_holm_is_statsmodels_and_leaves_nan_out():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005, 0.9])
    known = ~np.isnan(p)
    adjusted = holm(p)
    np.testing.assert_allclose(adjusted[known], multipletests(p[known], method="holm")[1])
    assert np.isnan(adjusted[2])
    assert holm([]).size == 0


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


def test_wilson_is_statsmodels():
    assert wilson(0.3, 40, 0.95) == pytest.approx(proportion_confint(12, 40, method="wilson"))


def test_generators_go_by_name():
    assert generator(1, "a").random() == generator(1, "a").random()
    assert generator(1, "a").random() != generator(1, "b").random()
    assert generator(-1, "a").random() != generator(1, "a").random()
