import itertools

import numpy as np
import pandas as pd
import pytest

from more_repro.evaluation.comparisons.on_same_pairs import METRICS, paired_table
from more_repro.evaluation.comparisons.resampling import Pool, bootstrap_draws, swap_draws
from more_repro.evaluation.metrics import calibration_slope, ece
from more_repro.evaluation.metrics.scored_models import Pairs, scored_models
from more_repro.schemes import PAPER
from more_repro.stats.clustered import clustered_mean
from more_repro.stats.multiple_testing import holm

ALIGN = ("helpful", "harmless")


@pytest.fixture(scope="module")
def table(scores) -> pd.DataFrame:
    from more_repro.params import Stats

    stats = Stats(seed=7, bins=10, null_draws=300, bootstrap_draws=300, permutation_draws=500, confidence=0.95)
    return paired_table(scored_models(scores), stats, ALIGN, PAPER)


def pairs(margins, prompts=None) -> Pairs:
    n = len(margins)
    nothing = np.full(n, np.nan)
    prompts = np.arange(n) if prompts is None else prompts
    return Pairs(np.asarray(margins, float), np.arange(n), prompts, nothing, nothing)


def row(table, **wanted):
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_every_scheme_meets_both_references_once_per_seed_and_combined(table):
    assert set(zip(table["scheme"], table["against"], strict=True)) == {
        ("more", "multitask"), ("averaging", "multitask"), ("averaging", "more"),
    }  # fmt: skip
    assert set(table["source"]) == {"align", "all"}
    assert set(table["seed"]) == {"0", "1", "2", "combined"}
    assert not table.duplicated(["base", "regime", "source", "scheme", "against", "seed", "metric"]).any()
    assert set(table["metric"]) == set(METRICS)
    sizes = table.groupby("source")[["n_pairs", "n_prompts"]].agg(["min", "max"])
    assert sizes.loc["align"].tolist() == [400, 400, 200, 200]
    assert sizes.loc["all"].tolist() == [600, 600, 300, 300]
    assert (table.loc[table["seed"] == "combined", "n_seeds"] == 3).all()


def test_differences_are_those_of_the_single_models(table, scores):
    margins = {
        (entry.model.scheme, entry.model.seed): np.concatenate([entry.test[name].margins for name in ALIGN])
        for entry in scored_models(scores)
        if entry.model.base == "tiny" and entry.model.trained_on == "mixture"
    }
    a, b = margins["more", 1], margins["multitask", 1]
    cell = {"base": "tiny", "scheme": "more", "against": "multitask", "source": "align", "seed": "1"}
    expected = {
        "accuracy": (a > 0).mean() - (b > 0).mean(),
        "log_loss": (calibration_slope.log_loss(a) - calibration_slope.log_loss(b)).mean(),
        "log_slope": np.log(calibration_slope.slope(a) / calibration_slope.slope(b)),
        "ece": ece.ece_of(a, 10) - ece.ece_of(b, 10),
    }
    for metric, value in expected.items():
        assert row(table, **cell, metric=metric)["estimate"] == pytest.approx(value, abs=1e-12), metric
    seeds = table[(table["base"] == "tiny") & (table["scheme"] == "more") & (table["source"] == "align")]
    seeds = seeds[seeds["metric"] == "ece"].set_index("seed")["estimate"]
    assert seeds["combined"] == pytest.approx(seeds[["0", "1", "2"]].mean())


def test_doubled_margins_are_seen_by_the_slope_with_its_size(table):
    seen = row(
        table, base="tiny", scheme="more", against="multitask", source="all", seed="combined", metric="log_slope"
    )
    assert seen["low"] < np.log(2) < seen["high"]
    assert seen["p_holm"] < 0.01


def test_ece_has_a_null_band_and_no_interval_and_the_others_the_reverse(table):
    is_ece = table["metric"] == "ece"
    assert table.loc[is_ece, ["low", "high"]].isna().all(axis=None)
    assert table.loc[~is_ece, ["null_low", "null_high"]].isna().all(axis=None)
    assert (table.loc[is_ece, "null_low"] < 0).all()
    assert (table.loc[is_ece, "null_high"] > 0).all()


def test_holm_is_over_one_block(table):
    keys = ["base", "regime", "source", "against", "seed"]
    for _, block in table.groupby(keys):
        np.testing.assert_allclose(block["p_holm"], holm(block["p"]))


def test_bootstrap_errors_are_the_clustered_ones(calibrated):
    rng = np.random.default_rng(3)
    prompts = np.arange(900) // 3
    margins = calibrated(900, rng) + np.repeat(rng.standard_normal(300), 3)
    pool = Pool.of([("a", pairs(margins, prompts))])
    drawn = bootstrap_draws(pool, 2000, rng)
    for metric, values in (
        ("accuracy", (margins > 0).astype(float)),
        ("log_loss", calibration_slope.log_loss(margins)),
    ):
        expected = clustered_mean(values, prompts, 0.95)
        half = 1.968 * drawn[metric][:, 0].std()
        assert half == pytest.approx((expected.high - expected.low) / 2, rel=0.08), metric
    fitted = calibration_slope.slope_interval(margins, prompts, 0.95)
    half = 1.96 * drawn["log_slope"][:, 0].std() * fitted.estimate
    assert half == pytest.approx((fitted.high - fitted.low) / 2, rel=0.08)


def test_one_step_slopes_are_refits(calibrated):
    margins = calibrated(600, np.random.default_rng(0), 0.4, 1.6)
    pool = Pool.of([("a", pairs(margins))])
    drawn = np.exp(bootstrap_draws(pool, 40, np.random.default_rng(5))["log_slope"][:, 0])
    again = np.random.default_rng(5).integers(0, 600, (40, 600))
    refits = np.array([calibration_slope.slope(margins[chosen]) for chosen in again])
    assert np.abs(drawn - refits).max() < 0.05 * refits.std()


def test_swaps_are_the_enumeration(calibrated, stats):
    rng = np.random.default_rng(2)
    prompts = np.repeat(np.arange(6), 5)
    a, b = calibrated(30, rng), calibrated(30, rng, 0.4, 3.0)
    every = []
    for chosen in itertools.product((False, True), repeat=6):
        swapped = np.array(chosen)[prompts]
        one, two = np.where(swapped, b, a), np.where(swapped, a, b)
        every.append(ece.ece_of(one, 10) - ece.ece_of(two, 10))
    pool = Pool.of([("a", pairs(a, prompts)), ("b", pairs(b, prompts))])
    drawn = swap_draws(pool, [(0, 1)], stats.model_copy(update={"null_draws": 6000}), rng)[:, 0]
    assert set(np.round(drawn, 9)) <= set(np.round(every, 9))
    for level in np.quantile(every, [0.1, 0.5, 0.9]):
        assert (drawn <= level + 1e-9).mean() == pytest.approx(np.mean(np.array(every) <= level + 1e-9), abs=0.03)


def test_swap_test_has_its_size_and_sees_over_confidence(calibrated, stats):
    few = stats.model_copy(update={"null_draws": 199})
    hits = np.zeros(2)
    for number in range(300):
        rng = np.random.default_rng(number)
        common = rng.standard_normal(400)
        a, b = (0.8 * (0.4 + 0.8 * common + 0.6 * rng.standard_normal(400)) for _ in range(2))
        for place, other in enumerate((b, 4 * b)):
            pool = Pool.of([("a", pairs(a)), ("b", pairs(other))])
            seen = ece.ece_of(a, 10) - ece.ece_of(other, 10)
            null = swap_draws(pool, [(0, 1)], few, rng)[:, 0]
            hits[place] += (1 + (np.abs(null) >= abs(seen)).sum()) / 200 <= 0.05
    assert 0.02 < hits[0] / 300 < 0.085
    assert hits[1] / 300 > 0.9


def test_combined_error_grows_with_the_spread_over_seeds(scores, stats):
    def width(shifts):
        parts = [scores[(scores["scheme"].isin(["more", "multitask"])) & (scores["trained_on"] == "mixture")]]
        one = parts[0][parts[0]["base"].eq("tiny")].copy()
        for seed, shift in enumerate(shifts):
            one.loc[one["seed"].eq(seed) & one["scheme"].eq("more"), "reward_chosen"] *= shift
        made = paired_table(scored_models(one), stats, ALIGN, PAPER)
        found = row(made, source="all", seed="combined", metric="log_slope")
        return found["high"] - found["low"]

    assert width((0.5, 1.0, 2.0)) > 3 * width((1.0, 1.0, 1.0))


def test_null_means_that_differ_are_noted(scores, stats):
    few = scores[scores["scheme"].isin(["more", "multitask"]) & scores["trained_on"].eq("mixture")].copy()
    few.loc[few["scheme"] == "more", "reward_chosen"] *= 25  # certain everywhere: no ECE left by chance
    made = paired_table(scored_models(few), stats, ALIGN, PAPER)
    errors = made[made["metric"] == "ece"]
    assert errors["note"].str.contains("compare the log slope").all()
    assert (made.loc[made["metric"] == "accuracy", "note"] == "").all()


def test_models_on_different_pairs_are_refused(scores, stats):
    some = scores[scores["trained_on"].eq("mixture") & scores["base"].eq("tiny")]
    gone = some["scheme"].eq("more") & some["seed"].eq(0) & some["pair_id"].eq("helpful-test-3")
    with pytest.raises(ValueError, match=r"tiny/resampled/.* were not scored on the same test pairs"):
        paired_table(scored_models(some[~gone]), stats, ALIGN, PAPER)


def test_undefined_slopes_are_said_and_leave_the_rest(scores, stats):
    some = scores[scores["scheme"].isin(["more", "multitask"]) & scores["trained_on"].eq("mixture")].copy()
    some.loc[some["scheme"] == "more", "reward_chosen"] = some["reward_chosen"].abs() + 0.01  # always right
    made = paired_table(scored_models(some), stats, ALIGN, PAPER)
    undefined = made["metric"] == "log_slope"
    assert made.loc[undefined, ["estimate", "low", "p", "p_holm"]].isna().all(axis=None)
    assert made.loc[undefined, "note"].str.contains("not positive").all()
    assert made.loc[~undefined, ["estimate", "p", "p_holm"]].notna().all(axis=None)


def test_ties_and_one_scheme_alone(scores, stats):
    some = scores[scores["scheme"].eq("more") & scores["trained_on"].eq("mixture")]
    assert paired_table(scored_models(some), stats, ALIGN, PAPER).empty
    tied = pd.concat([some, some.assign(scheme="multitask")])
    tied["reward_chosen"] = tied["reward_chosen"].where(tied["pair_id"].str.endswith("1"), 0.0)
    made = paired_table(scored_models(tied), stats, ALIGN, PAPER)
    assert (made["estimate"] == 0).all()
    tested = made["low"].notna() | made["metric"].eq("ece")
    assert (made.loc[tested, "p"] == 1).all()
    assert made.loc[~tested, "note"].str.contains("in some redraws").all()
    assert tested.sum() > 50
