"""What surrounds the regression: influence, errors in variables, halves, sizes of tests, and the published points."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import variance_inflation_factor

from more_repro.evaluation.metrics.scored_models import scored_models
from more_repro.evaluation.paper_checks.printed_noise import published_noise
from more_repro.evaluation.paper_checks.printed_null import null_pairs, over_confidence
from more_repro.evaluation.paper_checks.six_points import published_checks, sign_flip_p
from more_repro.evaluation.regression import fixed_effects
from more_repro.evaluation.regression.design import published_design
from more_repro.evaluation.regression.errors_in_variables import corrected
from more_repro.evaluation.regression.influence import influence_table
from more_repro.evaluation.regression.permutation import freedman_lane, group_permutations
from more_repro.evaluation.regression.regression import (
    NOISY,
    PERMUTATION,
    SCHEMES,
    SEEDS,
    SPLIT,
    regression_table,
)
from more_repro.evaluation.regression.split_half import COLUMNS, half_table


def design(sizes=(5, 4, 6), seed=0, effect=-2.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    level = np.repeat(rng.normal(0, 0.05, len(sizes)), sizes)
    table = pd.DataFrame({"group": names, "base": names, "regime": "r", "trained_on": "mixture"})
    table["scheme"] = [f"s{i % 3}" for i in range(len(names))]
    table["seed"] = [i % 2 for i in range(len(names))]
    table["ece"] = 0.06 + level + rng.normal(0, 0.01, len(names))
    table["accuracy"] = 0.65 - level + rng.normal(0, 0.01, len(names))
    table["net_win"] = effect * table["ece"] + table["accuracy"] + rng.normal(0, 0.005, len(names))
    return table.assign(perplexity_helpful=3 - table["net_win"] + rng.normal(0, 0.02, len(names)), ece_sd=0.003)


def full_fit(table, outcome="net_win"):
    dummies = pd.get_dummies(table["group"]).to_numpy(float)
    return sm.OLS(table[outcome], np.column_stack([table[["ece", "accuracy"]], dummies])).fit()


def test_influence_is_statsmodels_with_dummies(stats):
    table = design()
    made = influence_table(table, "x", stats)
    rows = made[made["outcome"] == "net_win"]
    fit = full_fit(table)
    oracle = fit.get_influence()
    np.testing.assert_allclose(rows["leverage"], oracle.hat_matrix_diag)
    np.testing.assert_allclose(rows["cooks_distance"], oracle.cooks_distance[0])
    np.testing.assert_allclose(rows["estimate"], fit.params.iloc[0])
    for place in range(len(table)):
        without = full_fit(table.drop(index=place)).params.iloc[0]
        assert rows["estimate_without"].iloc[place] == pytest.approx(without)
    slope = rows["partial_term"] @ rows["partial_outcome"] / np.square(rows["partial_term"]).sum()
    assert slope == pytest.approx(fit.params.iloc[0])


def test_partial_values_are_free_of_groups_and_control(stats):
    table = design()
    made = influence_table(table, "x", stats)
    rows = made[made["outcome"] == "net_win"].reset_index(drop=True)
    centred = table["accuracy"] - table.groupby("group")["accuracy"].transform("mean")
    for name in ("partial_term", "partial_outcome"):
        assert rows[name].groupby(table["group"]).mean().abs().max() < 1e-12
        assert abs(float(rows[name].to_numpy() @ centred.to_numpy())) < 1e-12


def test_influence_of_the_published_points_and_of_nothing(stats):
    made = influence_table(published_design(), "published", stats)
    assert made.groupby("outcome").size().to_dict() == {"perplexity_harmless": 6, "perplexity_helpful": 6}
    constant = design().assign(ece=0.05)
    assert influence_table(constant, "x", stats).empty


def test_vif_is_statsmodels_on_demeaned_terms():
    table = design()
    data = fixed_effects.demeaned(
        table["net_win"].to_numpy(), table[["ece", "accuracy"]].to_numpy(), list(table["group"])
    )
    expected = 1 / (1 - np.corrcoef(data.x.T)[0, 1] ** 2)
    assert fixed_effects.vif(data, 0) == pytest.approx(expected)
    assert fixed_effects.vif(data, 0) == pytest.approx(variance_inflation_factor(data.x, 0))
    assert fixed_effects.vif(fixed_effects.demeaned(data.y, data.x[:, :1], list(table["group"])), 0) == 1


def test_correction_for_noise_removes_attenuation_on_average():
    rng = np.random.default_rng(0)
    plain, fixed, covered = [], [], 0
    for _ in range(200):
        names = np.repeat(list("abc"), 12)
        true = rng.standard_normal(36)
        y = 1.5 * true + np.repeat(rng.normal(0, 3, 3), 12) + rng.normal(0, 0.5, 36)
        x = np.column_stack([true + rng.normal(0, 0.6, 36), rng.standard_normal(36)])
        data = fixed_effects.demeaned(y, x, names)
        interval, note = corrected(data, np.full(36, 0.36), 0, 0.95)
        plain.append(fixed_effects.coefficients(data)[0])
        fixed.append(interval.estimate)
        covered += interval.low <= 1.5 <= interval.high
        assert note.startswith("reliability of ECE 0.")
    assert np.mean(plain) < 1.25
    assert np.mean(fixed) == pytest.approx(1.5, abs=0.12)  # the ratio has a small bias of its own
    assert covered / 200 > 0.88


def test_without_noise_the_correction_changes_nothing_and_too_much_noise_is_said():
    table = design()
    data = fixed_effects.demeaned(
        table["net_win"].to_numpy(), table[["ece", "accuracy"]].to_numpy(), list(table["group"])
    )
    interval, note = corrected(data, np.zeros(len(table)), 0, 0.95)
    assert interval.estimate == pytest.approx(fixed_effects.coefficients(data)[0])
    assert "reliability of ECE 1.00" in note
    interval, note = corrected(data, np.ones(len(table)), 0, 0.95)
    assert np.isnan(interval.estimate)
    assert "no larger than its noise" in note


def test_table_has_seed_effects_noise_holm_and_the_placebo_note(stats):
    table = design().assign(ece_temperature=lambda t: t["ece"] ** 2, ece_shape=lambda t: t["ece"] - t["ece"] ** 2)
    made = regression_table(table, "x", stats)
    ece = made[(made["term"] == "ece") & (made["outcome"] == "net_win")].set_index("method")
    for method, column in ((SEEDS, "seed"), (SCHEMES, "scheme")):
        dummies = pd.get_dummies(table[["group", column]].astype(str), drop_first=True).to_numpy(float)
        fit = sm.OLS(table["net_win"], sm.add_constant(np.column_stack([table[["ece", "accuracy"]], dummies]))).fit()
        assert ece.loc[method, "estimate"] == pytest.approx(fit.params.iloc[1])
        assert ece.loc[method, "p"] == pytest.approx(fit.pvalues.iloc[1])
    assert abs(ece.loc[NOISY, "estimate"]) > abs(ece.loc[PERMUTATION, "estimate"])
    assert (ece["vif"] >= 1).all()
    primary = made[(made["term"] == "ece") & (made["method"] == PERMUTATION)]
    assert (primary["p_holm"] >= primary["p"]).all()
    assert primary["p_holm"].max() == pytest.approx(min(1, max(2 * primary["p"].min(), primary["p"].max())))
    assert made.loc[made["method"] != PERMUTATION, "p_holm"].isna().all()
    assert made.loc[made["term"] == "ece_temperature", "note"].str.contains("placebo").all()


def test_halves_join_to_the_whole_and_do_not_depend_on_other_models(scores, stats):
    models = scored_models(scores)
    made = half_table(models, stats, ("helpful", "harmless"))
    assert list(made.columns[-4:]) == list(COLUMNS)
    entry = next(m for m in models if m.model.scheme == "more" and m.model.trained_on == "mixture")
    assert len(made) == len(models)
    key = entry.model
    row = made[(made["base"] == key.base) & (made["scheme"] == "more") & (made["seed"] == key.seed)]
    row = row[row["trained_on"] == "mixture"].iloc[0]
    right = np.concatenate([entry.test[s].margins > 0 for s in ("helpful", "harmless")]).mean()
    low, high = sorted(row[["accuracy_first_half", "accuracy_second_half"]])
    assert low <= right <= high
    again = half_table(models[3:9], stats, ("helpful", "harmless")).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, made.iloc[3:9].reset_index(drop=True))


def test_halves_share_no_prompt(stats):
    rows, found = 60, []
    for first in range(6):  # the cut is by names: some of these leave a half empty, and have no row
        ids = [f"{first}-{i}" for i in range(rows)]
        right = np.arange(rows) % 2 == 0  # two prompts: the pairs of one all right, those of the other all wrong
        table = pd.DataFrame({"split": "test", "source": "helpful", "pair_id": ids, "reward_rejected": 0.0}).assign(
            base="b", regime="r", scheme="more", trained_on="mixture", seed=0, reward_chosen=np.where(right, 1.0, -1.0)
        )
        table["prompt_id"] = np.where(right, "x", "y")
        changed = stats.model_copy(update={"seed": first})
        found.append(half_table(scored_models(table), changed, ("helpful",)))
    halves = pd.concat(found)
    assert 0 < len(halves) < 6
    assert (halves["accuracy_first_half"] + halves["accuracy_second_half"] == 1).all()
    assert halves["accuracy_first_half"].isin([0, 1]).all()


@pytest.mark.slow
def test_rescaled_models_have_a_temperature_part_without_effect_and_a_shape_that_keeps_its_own(stats):
    """Best-of-n sees shape and no scale: models are rescaled at random, and the outcome follows what scale leaves."""
    few, rejected, estimates = stats.model_copy(update={"permutation_draws": 99}), 0, []
    for number in range(200):
        rng = np.random.default_rng(number)
        table = design(sizes=(6, 6, 6), seed=number).drop(columns=["net_win", "perplexity_helpful", "ece", "ece_sd"])
        table["seed"] = 0
        table["scheme"] = [f"s{i}" for i in range(18)]
        table["ece_shape"] = rng.uniform(0.01, 0.05, 18)
        table["ece_temperature"] = rng.uniform(0.0, 0.1, 18)
        table["ece"] = table["ece_shape"] + table["ece_temperature"]
        table["net_win"] = -2 * table["ece_shape"] + table["accuracy"] + rng.normal(0, 0.01, 18)
        made = regression_table(table, "x", few)
        rows = made[made["method"] == PERMUTATION].set_index("term")
        rejected += rows.loc["ece_temperature", "p"] <= 0.05
        estimates.append([rows.loc[name, "estimate"] for name in SPLIT[:2]])
    assert 0.01 <= rejected / 200 <= 0.09
    assert np.mean(estimates, axis=0) == pytest.approx([0.0, -2.0], abs=0.08)


def test_permutation_has_its_size_over_two_thousand_null_studies():
    rejected = 0
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        names = np.repeat(["a", "b", "c"], 6)
        level = np.repeat(rng.normal(0, 2, 3), 6)
        x = np.column_stack([level + rng.normal(size=18), rng.normal(size=18) - level])
        data = fixed_effects.demeaned(0.5 * x[:, 1] + 3 * level + rng.normal(size=18), x, names)
        orders, exact = group_permutations(data.groups, 399, rng)
        rejected += freedman_lane(data, 0, orders, exact) <= 0.05
    assert 0.04 <= rejected / 2000 <= 0.06


def test_published_checks_state_what_six_points_show(stats):
    made = published_checks(stats).set_index(["check", "outcome"])
    harmless = made.loc[("direction", "perplexity_harmless")]
    assert "higher with MORE in 3 of 3 bases" in harmless["sentence"]
    assert harmless["p"] == 0.25
    shares = [made.loc[(f"R squared, {name}", "perplexity_helpful"), "estimate"] for name in ("ECE", "a MORE dummy")]
    assert shares == pytest.approx([0.972, 0.941], abs=1e-3)
    whole = made.loc[("correlation", "perplexity_helpful")]
    assert (whole["estimate"], whole["p"]) == pytest.approx((0.687, 0.115), abs=1e-3)
    assert "+0.49 to +0.85" in whole["sentence"]
    assert made.loc[("correlation", "perplexity_harmless"), "estimate"] == pytest.approx(-0.427, abs=1e-3)
    assert made.loc[("smallest p", "any"), "p"] == 0.25
    assert made.loc[("reliability", "ece"), "estimate"] == pytest.approx(0.67, abs=0.06)
    duels = [made.loc[(f"win rate if n = {n}", "net_win llama2-7b"), "p"] for n in (100, 300)]
    assert duels == pytest.approx([0.17, 0.012], abs=0.005)


def test_ece_beside_a_scheme_dummy_is_statsmodels_and_says_nothing(stats):
    made = published_checks(stats).set_index(["check", "outcome"])
    points = published_design()
    more = points["scheme"].eq("more").astype(float)
    x = np.column_stack([points["ece"], more, pd.get_dummies(points["group"]).to_numpy(float)])
    for outcome in ("perplexity_helpful", "perplexity_harmless"):
        fit, row = sm.OLS(points[outcome], x).fit(), made.loc[("ECE beside a MORE dummy", outcome)]
        expected = (fit.params.iloc[0], fit.pvalues.iloc[0], *fit.conf_int().iloc[0])
        assert (row["estimate"], row["p"], row["low"], row["high"]) == pytest.approx(expected)
        assert row["p"] > 0.25


def test_printed_accuracies_of_more_and_multitask_lie_within_noise(stats):
    made = published_checks(stats).query("check == 'mean accuracy'").set_index("outcome")
    assert len(made) == 4
    row = made.loc["accuracy pythia-1_4b"]  # 64.07 64.57 62.43 63.41 62.22 less 65.00 64.57 60.13 66.00 57.49
    assert row["estimate"] == pytest.approx(0.00702, abs=1e-6)
    assert ((made["low"] < 0) & (made["high"] > 0) & (made["p"] > 0.3)).all()
    # Of equal sets of n pairs and accuracy a the error is sqrt(2 a (1 - a) / n) / sqrt(sets); here sets differ.
    assert (row["high"] - row["low"]) / 2 == pytest.approx(1.96 * np.sqrt(2 * 0.23 / 5 / 1430), rel=0.05)


def test_sign_flips_by_hand():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 0.25
    assert sign_flip_p(np.array([1.0, -1.0])) == 1
    assert sign_flip_p(np.ones(6)) == 2 / 64


def test_published_noise_is_that_of_the_notes(stats):
    made = published_noise(stats.model_copy(update={"null_draws": 1000})).set_index(
        ["table", "base", "scheme", "source"]
    )
    first = made.loc[("table1", "pythia-1_4b", "more", "align")]
    assert (first["null_mean"], first["null_low"], first["null_high"]) == pytest.approx((0.015, 0.008, 0.024), abs=1e-3)
    assert (first["p_difference"], first["p_correlated"]) == pytest.approx((0.24, 0.2), abs=0.06)
    assert made.loc[("table1", "llama2-7b", "multitask", "align"), "p"] < 0.005
    both = made.loc[("table2", "pythia-2_8b", "more", "mean")]  # both miscalibrated: the difference faces more noise
    assert both["scale"] > 1.2
    assert both["p"] < 0.002
    assert 0.1 < both["p_difference"] < 0.3
    assert np.isnan(made.loc[("table2", "llama2-13b", "raw", "mean"), "null_mean"])
    assert np.isnan(made.loc[("table1", "pythia-1_4b", "multitask", "align"), "difference"])


def test_over_confidence_gives_back_its_ece():
    scale = over_confidence((0.62, 0.7), (900, 2000), 10, 0.05)
    drawn = null_pairs((0.62, 0.7), (0.62, 0.7), (900, 2000), 10, 3000, np.random.default_rng(0), 0.0, scale)[0]
    assert scale > 1.2
    assert drawn.mean() == pytest.approx(0.05, rel=0.04)
    assert over_confidence((0.62, 0.7), (900, 2000), 10, 0.001) == 1
