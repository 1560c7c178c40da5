import itertools

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import ks_2samp
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from more_repro.evaluation.metrics import ece
from more_repro.evaluation.metrics.accuracy import accuracy_interval, correctness
from more_repro.stats.clustered import clustered_mean
from more_repro.stats.intervals import mean_interval


def symmetrised(margins, n_bins):
    """The paper's code: every pair both ways round, bins on [0, 1]."""
    p = np.r_[expit(margins), expit(-margins)]
    label = np.r_[np.ones(margins.size), np.zeros(margins.size)]
    total = 0.0
    for low, high in zip(np.arange(n_bins) / n_bins, (np.arange(n_bins) + 1) / n_bins, strict=True):
        inside = (p > low) & (p <= high)
        if inside.any():
            total += inside.mean() * abs(label[inside].mean() - p[inside].mean())
    return total


@pytest.mark.parametrize("n_bins", [4, 10, 20])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.5])
def test_ece_is_torchmetrics_and_symmetrised(calibrated, n_bins, scale):
    margins = calibrated(2354, np.random.default_rng(n_bins), 0.35, scale)
    confidence = torch.from_numpy(expit(np.abs(margins)))
    right = torch.from_numpy((margins > 0).astype(int))
    bins = ece.fold(margins, n_bins)
    for norm, value in (("l1", ece.ece(bins)), ("max", ece.mce(bins))):
        assert value == pytest.approx(float(binary_calibration_error(confidence, right, n_bins, norm)), abs=1e-7)
    assert ece.ece(bins) == pytest.approx(symmetrised(margins, n_bins), abs=1e-12)


@pytest.mark.parametrize("n_bins", [4, 10])
def test_ece_is_that_of_scikit_learns_curve(calibrated, n_bins):
    margins = calibrated(2354, np.random.default_rng(n_bins), 0.35, 1.4)
    confidence, right = expit(np.abs(margins)), margins > 0
    share, mean = calibration_curve(right, confidence, n_bins=n_bins)
    # The curve leaves empty bins out and returns no counts: ours, of the bins of [0, 1] that have pairs.
    counts = np.histogram(confidence, np.linspace(0, 1, n_bins + 1))[0]
    counts = counts[counts > 0]
    assert ece.ece_of(margins, n_bins) == pytest.approx(counts @ np.abs(share - mean) / margins.size, abs=1e-12)


def test_ece_by_hand_with_tie_and_certainty():
    margins = np.array([0.0, np.log(3), -np.log(3), 800.0])  # confidences .5, .75, .75, 1
    bins = ece.fold(margins, 10)
    assert bins.n_pairs.tolist() == [0] * 5 + [1, 0, 2, 0, 1]
    assert ece.ece(bins) == pytest.approx((0 + 2 * 0.25 + 0) / 4)
    assert ece.mce(bins) == pytest.approx(0.25)


def test_swapping_chosen_and_rejected_mirrors_accuracy_and_keeps_confidence(calibrated):
    margins = calibrated(500, np.random.default_rng(0))
    there, back = ece.fold(margins, 10), ece.fold(-margins, 10)
    np.testing.assert_allclose(there.confidence, back.confidence)
    np.testing.assert_allclose(there.correct, back.n_pairs - back.correct)


def test_ece_true_is_zero_for_the_true_model(calibrated):
    margins = calibrated(300, np.random.default_rng(0))
    assert ece.ece_true(margins, expit(margins), 10) == pytest.approx(0, abs=1e-12)
    assert ece.ece_true(3 * margins, expit(margins), 10) > 0.05
    assert np.isnan(ece.ece_true(margins, np.full(300, np.nan), 10))


def test_debiased_l2_and_equal_mass_by_hand(calibrated):
    margins = calibrated(103, np.random.default_rng(3), 0.4, 2.5)
    order = np.argsort(np.abs(margins), kind="stable")
    parts = np.split(margins[order], np.linspace(0, 103, 11).round().astype(int)[1:-1])
    squared = mass = 0.0
    for part in parts:
        a, c, n = (part > 0).mean(), expit(np.abs(part)).mean(), part.size
        mass += n / 103 * abs(a - c)
        squared += n / 103 * ((a - c) ** 2 - a * (1 - a) / (n - 1))
    assert ece.equal_mass(margins, 10) == pytest.approx((mass, np.sqrt(max(squared, 0))), abs=1e-12)
    assert squared > 0


def test_debiased_l2_is_undefined_without_two_pairs_in_a_bin():
    assert np.isnan(ece.equal_mass(np.linspace(-1, 2, 15), 10)[1])


def test_null_band_has_its_size_on_calibrated_models(calibrated):
    rng = np.random.default_rng(5)
    outside = 0
    for _ in range(600):
        margins = calibrated(400, rng)
        band = ece.null_ece(ece.null_gaps(margins, 10, 200, rng), 400)
        outside += ece.ece(ece.fold(margins, 10)) > np.quantile(band, 0.95)
    assert 0.035 < outside / 600 < 0.075


def test_null_band_agrees_with_the_known_floor(calibrated):
    rng = np.random.default_rng(5)
    band = ece.null_ece(ece.null_gaps(calibrated(2350, rng), 10, 1000, rng), 2350)
    assert band.mean() == pytest.approx(0.0148, abs=0.0015)


def test_null_gaps_of_parts_add_and_are_unbiased(calibrated):
    margins = calibrated(500, np.random.default_rng(1))
    gaps = ece.null_gaps(margins, 10, 4000, np.random.default_rng(2))
    assert gaps.shape == (4000, 10)
    assert np.abs(gaps.mean(axis=0)).max() < 4 * np.sqrt(500 * 0.25 / 4000)
    confidence = expit(np.abs(margins))
    variance = np.bincount(ece.bin_of(confidence, 10), weights=confidence * (1 - confidence), minlength=10)
    np.testing.assert_allclose(gaps.var(axis=0)[5:], variance[5:], rtol=0.12)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_poisson_binomial_is_the_enumeration(n):
    p = np.random.default_rng(n).uniform(0.5, 1, n)
    expected = np.zeros(n + 1)
    for right in itertools.product((0, 1), repeat=n):
        expected[sum(right)] += np.prod(np.where(right, p, 1 - p))
    np.testing.assert_allclose(ece.poisson_binomials([p])[0], expected, atol=1e-15)
    several = ece.poisson_binomials([np.ones(n), p, np.full(9, 0.5)])
    np.testing.assert_allclose(several[0], np.eye(n + 1)[n], atol=1e-15)
    np.testing.assert_allclose(several[1], expected, atol=1e-15)
    assert ece.poisson_binomials([]) == []


def test_null_ece_has_the_law_of_a_redraw_of_every_pair(calibrated):
    margins = calibrated(300, np.random.default_rng(1))
    confidence = expit(np.abs(margins))
    rng = np.random.default_rng(2)
    plain = [ece.ece(ece.fold(margins, 10, (rng.random(margins.size) < confidence).astype(float))) for _ in range(2000)]
    fast = ece.null_ece(ece.null_gaps(margins, 10, 2000, rng), margins.size)
    assert ks_2samp(plain, fast).pvalue > 0.01


def test_all_ties_are_calibrated_and_half_right():
    gaps = ece.null_gaps(np.zeros(5), 10, 3, np.random.default_rng(0))
    assert (gaps == 0).all()
    assert ece.ece_of(np.zeros(5), 10) == 0
    assert accuracy_interval(np.zeros(5), np.arange(5), 0.95).estimate == 0.5


def test_sample_size_alone_makes_small_and_large_sources_incomparable(calibrated):
    rng = np.random.default_rng(5)
    floor = {n: ece.null_ece(ece.null_gaps(calibrated(n, rng), 10, 1000, rng), n).mean() for n in (900, 2000, 2350)}
    assert not ece.comparable(floor[900], floor[2350])
    assert ece.comparable(floor[2000], floor[2350])


@pytest.mark.parametrize(
    ("margins", "n_bins", "message"),
    [
        ([], 10, "no pairs"),
        ([1.0, np.nan], 10, "margin 1 is nan"),
        ([np.inf], 10, "margin 0 is inf"),
        ([1.0], 5, "even"),
    ],
)
def test_ece_refuses(margins, n_bins, message):
    with pytest.raises(ValueError, match=message):
        ece.ece_of(np.array(margins), n_bins)


def test_accuracy_interval_widens_with_pairs_of_one_prompt_and_stays_in_range():
    margins = np.repeat(np.random.default_rng(0).standard_normal(100) + 0.4, 4)
    apart = accuracy_interval(margins, np.arange(400), 0.95)
    together = accuracy_interval(margins, np.repeat(np.arange(100), 4), 0.95)
    assert together.estimate == apart.estimate == correctness(margins).mean()
    assert (together.high - together.low) == pytest.approx(2 * (apart.high - apart.low), rel=0.05)
    perfect = accuracy_interval(np.ones(20), np.arange(20), 0.95)
    assert perfect.high == 1
    assert 0.8 < perfect.low < 1
    single = accuracy_interval(np.array([2.0]), np.array([0]), 0.95)
    assert 0 <= single.low < single.high <= 1


def test_accuracy_interval_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        shift = np.repeat(rng.standard_normal(80), 3)
        margins = 0.4 + shift + rng.standard_normal(240)
        interval = accuracy_interval(margins, np.repeat(np.arange(80), 3), 0.95)
        hits += interval.low <= 0.6114 <= interval.high  # Phi(.4 / sqrt 2)
    assert 0.92 < hits / 400 < 0.98


def test_clustered_mean_is_the_t_interval_of_means_of_prompts():
    values = np.random.default_rng(0).standard_normal(90)
    alone = clustered_mean(values, np.arange(90), 0.95)
    expected = mean_interval(values, 0.95)
    assert (alone.low, alone.high) == pytest.approx((expected.low, expected.high))
    together = clustered_mean(np.repeat(values, 2), np.repeat(np.arange(90), 2), 0.95)
    assert (together.low, together.high) == pytest.approx((expected.low, expected.high))
    assert np.isnan(clustered_mean(values, np.zeros(90, dtype=np.int64), 0.95).low)
