import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit

from more_repro.evaluation.metrics import calibration_slope


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_slope_is_statsmodels_logit(calibrated, scale):
    margins = calibrated(800, np.random.default_rng(4), 0.4, 1.3)
    clusters = np.arange(800) // 2
    rows = np.r_[margins, -margins]
    labels = np.r_[np.ones(800), np.zeros(800)]
    fit = sm.Logit(labels, rows).fit(
        disp=0, tol=1e-14, cov_type="cluster", cov_kwds={"groups": np.r_[clusters, clusters], "use_correction": False}
    )
    ours = calibration_slope.slope_interval(margins * scale, clusters, 0.95)
    assert ours.estimate * scale == pytest.approx(fit.params[0], rel=1e-8)
    half = (fit.conf_int()[0, 1] - fit.params[0]) * np.sqrt(400 / 399)  # our G / (G - 1)
    assert (ours.high - ours.estimate) * scale == pytest.approx(half, rel=1e-6)


def test_slope_of_calibrated_margins_is_one_and_of_scaled_its_inverse(calibrated):
    margins = calibrated(200_000, np.random.default_rng(0))
    assert calibration_slope.slope(margins) == pytest.approx(1, abs=0.02)
    assert calibration_slope.slope(4 * margins) == pytest.approx(calibration_slope.slope(margins) / 4, rel=1e-10)
    assert calibration_slope.temperature(4 * margins) == pytest.approx(4 / calibration_slope.slope(margins), rel=1e-10)


@pytest.mark.parametrize("margins", [[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0], [0.0, 3.0]])
def test_slope_is_undefined_where_margins_have_one_sign(margins):
    assert np.isnan(calibration_slope.slope(np.array(margins)))
    assert np.isnan(calibration_slope.slope_interval(np.array(margins), np.arange(2), 0.95).low)
    assert np.isnan(calibration_slope.temperature(np.array(margins)))


def test_slope_near_separation_converges():
    margins = np.r_[np.full(500, 1.0), -1e-6]
    b = calibration_slope.slope(margins)
    assert b > 5
    assert abs(margins @ expit(-b * margins)) < 1e-9


def test_temperature_is_undefined_at_chance_or_below():
    margins = np.array([1.0, -2.0, 0.5, -3.0])
    assert calibration_slope.slope(margins) < 0
    assert np.isnan(calibration_slope.temperature(margins))
    assert np.isnan(calibration_slope.temperature(np.empty(0)))


def test_proper_scores_by_hand():
    margins = np.array([np.log(3), 0.0])  # p = .75, .5
    np.testing.assert_allclose(calibration_slope.brier(margins), [0.0625, 0.25])
    np.testing.assert_allclose(calibration_slope.log_loss(margins), [-np.log(0.75), -np.log(0.5)])
    assert calibration_slope.log_loss(np.array([-800.0])) == [800]


def test_pairwise_drift_sees_direction_only():
    shared = np.array([1.0, -2.0, 3.0])
    assert calibration_slope.pairwise_drift(5 * shared, shared) == pytest.approx(0, abs=1e-7)
    assert calibration_slope.pairwise_drift(np.array([2.0, 1.0, 0.0]), shared) == pytest.approx(1)
    assert np.isnan(calibration_slope.pairwise_drift(np.zeros(3), shared))
    assert np.isnan(calibration_slope.pairwise_drift(shared, np.array([1.0, np.nan, 0.0])))
