import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from more_repro import tables
from more_repro.evaluation.regression import fixed_effects
from more_repro.evaluation.regression.design import design_table, published_design
from more_repro.evaluation.regression.permutation import freedman_lane, group_permutations
from more_repro.evaluation.regression.placebo import placebo_table
from more_repro.evaluation.regression.power import power_curve
from more_repro.evaluation.regression.regression import (
    CRV3,
    FIXED,
    MUNDLAK,
    NAIVE,
    PERMUTATION,
    SCHEMES,
    regression_table,
)
from more_repro.evaluation.regression.sensitivity import mundlak


def drawn(sizes, effect=0.0, seed=0):
    rng = np.random.default_rng(seed)
    names = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    level = np.repeat(rng.normal(0, 2, len(sizes)), sizes)
    x = np.column_stack([level + rng.normal(size=len(names)), rng.normal(size=len(names)) - level])
    return effect * x[:, 0] + 0.5 * x[:, 1] + 3 * level + rng.normal(size=len(names)), x, names


def dummies(names):
    return pd.get_dummies(names).to_numpy(float)


def test_within_fit_is_the_dummy_regression_by_fwl():
    y, x, names = drawn([4, 5, 3, 6], 0.7)
    data = fixed_effects.demeaned(y, x, names)
    full = np.column_stack([x, dummies(names)])
    np.testing.assert_allclose(fixed_effects.coefficients(data), np.linalg.lstsq(full, y, rcond=None)[0][:2])
    oracle = sm.OLS(y, full).fit()
    robust = sm.OLS(y, full).fit(cov_type="HC3", use_t=True)
    for term in range(2):
        for ours, theirs in (
            (fixed_effects.t_test(data, term, 0.95), oracle),
            (fixed_effects.hc3(data, term, 0.95), robust),
        ):
            assert ours.p == pytest.approx(theirs.pvalues[term], rel=1e-8)
            assert (ours.low, ours.high) == pytest.approx(tuple(theirs.conf_int()[term]), rel=1e-8)


def test_jackknife_is_statsmodels_on_demeaned_data():
    y, x, names = drawn([4, 5, 3, 6], 0.7)
    data = fixed_effects.demeaned(y, x, names)
    fit = sm.OLS(data.y, data.x).fit(cov_type="cluster-crv3", cov_kwds={"groups": data.groups}, use_t=True)
    for term in range(2):
        ours = fixed_effects.jackknife(data, term, 0.95)
        assert ours.p == pytest.approx(fit.pvalues[term], rel=1e-8)
        assert (ours.low, ours.high) == pytest.approx(tuple(fit.conf_int()[term]), rel=1e-8)
    assert np.isnan(fixed_effects.jackknife(fixed_effects.demeaned(y, x, ["one"] * y.size), 0, 0.95).low)


def test_permutation_p_is_enumeration_of_full_fits():
    y, x, names = drawn([3, 2, 3], 1.0, seed=3)
    data = fixed_effects.demeaned(y, x, names)
    orders, exact = group_permutations(data.groups, 1000, np.random.default_rng(0))
    assert exact
    assert len(orders) == len(np.unique(orders, axis=0)) == 72
    full = np.column_stack([x, dummies(names)])
    observed = abs(sm.OLS(y, full).fit().tvalues[0])
    reduced = sm.OLS(y, full[:, 1:]).fit()
    hits = []
    for parts in itertools.product(*(itertools.permutations(np.flatnonzero(names == g)) for g in np.unique(names))):
        moved = reduced.fittedvalues + reduced.resid[np.concatenate(parts)]
        hits.append(abs(sm.OLS(moved, full).fit().tvalues[0]) >= observed * (1 - 1e-9))
    assert freedman_lane(data, 0, orders, exact) == pytest.approx(np.mean(hits))


def test_random_permutations_stay_within_groups_and_agree_with_all():
    y, x, names = drawn([4, 4], 0.8, seed=1)
    data = fixed_effects.demeaned(y, x, names)
    orders, exact = group_permutations(data.groups, 500, np.random.default_rng(0))
    assert not exact
    assert (data.groups[orders] == data.groups).all()
    assert (np.sort(orders, axis=1) == np.arange(8)).all()
    every = freedman_lane(data, 0, *group_permutations(data.groups, 576, np.random.default_rng(0)))
    assert freedman_lane(data, 0, orders, exact) == pytest.approx(every, abs=0.06)


def test_permutation_holds_its_size_where_pooled_ols_does_not():
    hits = np.zeros(2)
    for seed in range(200):
        y, x, names = drawn([5, 5, 5], 0.0, seed=seed)
        data = fixed_effects.demeaned(y, x, names)
        orders, exact = group_permutations(data.groups, 199, np.random.default_rng(seed))
        naive = sm.OLS(y, sm.add_constant(x)).fit().pvalues[1]
        hits += [freedman_lane(data, 0, orders, exact) <= 0.05, naive <= 0.05]
    assert hits[0] / 200 < 0.1
    assert hits[1] / 200 > 0.2


def test_terms_that_do_not_vary_within_groups_are_undetermined(stats):
    table = pd.DataFrame({"group": list("aabb"), "scheme": list("mnmn"), "ece": [0.1, 0.1, 0.2, 0.2]}).assign(
        accuracy=[0.6, 0.7, 0.6, 0.8], net_win=[0.1, 0.2, 0.3, 0.1]
    )
    rows = regression_table(table, "x", stats).set_index(["term", "method"])
    assert np.isnan(rows.loc[("ece", PERMUTATION), "p"])
    assert "do not vary within groups" in rows.loc[("ece", PERMUTATION), "note"]


def test_published_points_give_the_known_answers(stats):
    table = regression_table(published_design(), "published", stats).set_index(["outcome", "term", "method"])
    naive = table.loc[("perplexity_helpful", "ece", NAIVE)]
    assert (naive["estimate"] / 100, naive["p"]) == pytest.approx((3.0, 0.106), abs=0.02)
    assert (naive["low"] / 100, naive["high"] / 100) == pytest.approx((-1.2, 7.2), abs=0.05)
    primary = table.loc[("perplexity_helpful", "ece", PERMUTATION)]
    assert primary["p"] == 0.25
    assert "all 8 permutations; descriptive only: 6 reward models" in primary["note"]
    assert "failed" in table.loc[("perplexity_helpful", "ece", MUNDLAK), "note"]
    assert np.isnan(table.loc[("perplexity_helpful", "ece", SCHEMES), "estimate"])
    rows = published_design()
    data = fixed_effects.demeaned(rows["perplexity_helpful"].to_numpy(), rows[["ece"]].to_numpy(), rows["group"])
    ece_alone = fixed_effects.t_test(data, 0, 0.95)
    assert (ece_alone.estimate / 100, ece_alone.p) == pytest.approx((3.86, 0.015), abs=0.005)


def test_mundlak_coefficient_is_the_within_one_and_says_boundary():
    y, x, names = drawn([8, 8, 8, 8, 8, 8], 0.7)
    data = fixed_effects.demeaned(y, x, names)
    interval, _ = mundlak(y, x, data.groups, 0, 0.95)
    assert interval.estimate == pytest.approx(fixed_effects.coefficients(data)[0], rel=1e-3)
    flat, note = mundlak(data.y, x, data.groups, 0, 0.95)
    assert np.isnan(flat.p) or "boundary" in note
    assert mundlak(y, x, np.zeros(48, dtype=int), 0, 0.95)[1].startswith("one group")


@pytest.fixture
def study(scores, truth, stats):
    """Metrics of the synthetic run, and a policy for every mixed model whose net win falls with accuracy alone."""
    from more_repro.evaluation.metrics.metrics_table import metrics_table

    metrics = metrics_table(scores, truth, stats, ("helpful", "harmless"))
    aligned = metrics[(metrics["source"] == "align") & (metrics["trained_on"] == "mixture")].reset_index(drop=True)
    keys = ["base", "regime", "scheme", "trained_on", "seed"]
    policy = aligned[keys].assign(policy=[f"m{i}" for i in range(len(aligned))])
    reference = pd.DataFrame([{"base": "none", "regime": "none", "scheme": "sft", "trained_on": "none", "seed": 0}])
    policy = pd.concat([policy, reference.assign(policy="sft")], ignore_index=True)
    rng = np.random.default_rng(0)
    net = np.r_[aligned["accuracy"] - 0.5 + rng.normal(0, 0.01, len(aligned)), 0.0]
    wins = policy.assign(opponent="untuned", source="all", n_prompts=100, n_invalid=0, win=0.4, tie=0.2, lose=0.4)
    wins = wins.assign(net=net, net_low=net - 0.1, net_high=net + 0.1)
    perplexity = policy.assign(source="helpful", perplexity=10 - net, perplexity_low=9.0, perplexity_high=11.0)
    perplexity = perplexity.assign(median_perplexity=9.0, mean_perplexity=9.5, n_texts=10, n_tokens=100)
    perplexity = perplexity.assign(n_long=0, n_outliers=0)
    return metrics, wins, perplexity


def test_design_joins_and_splits_the_ece(study):
    design = design_table(*study)
    assert len(design) == 2 * 3 * 3  # bases x schemes x seeds; the reference policy is not a reward model
    split = design.dropna(subset="ece_shape")  # undefined where no temperature could be fitted
    assert len(split) >= 15
    np.testing.assert_allclose(split["ece_temperature"] + split["ece_shape"], split["ece"])
    assert set(design["group"]) == {"tiny/resampled", "small/resampled"}
    metrics, wins, perplexity = study
    with pytest.raises(ValueError, match=r"tiny/resampled/more/mixture/0 has no metrics on 'align'"):
        design_table(metrics[~((metrics["scheme"] == "more") & (metrics["base"] == "tiny"))], wins, perplexity)


def test_regression_rows_are_named_once(study, stats):
    table = regression_table(design_table(*study), "this run", stats)
    assert not table.duplicated(["outcome", "term", "method"]).any()
    assert set(table["term"]) == {"ece", "accuracy", "ece_temperature", "ece_shape", "slope"}
    accuracy = table[(table["term"] == "accuracy") & (table["outcome"] == "net_win")].set_index("method")
    assert accuracy.loc[FIXED, "p"] < 1e-3
    assert accuracy.loc[PERMUTATION, "p"] < 0.05
    assert np.isfinite(accuracy.loc[CRV3, "low"])


def test_rows_without_a_value_are_dropped_and_counted(study, stats):
    design = design_table(*study)
    design.loc[0, "net_win"] = np.nan
    table = regression_table(design, "this run", stats)
    primary = table[(table["outcome"] == "net_win") & (table["method"] == PERMUTATION)]
    primary = primary[primary["term"].isin(["ece", "accuracy"])]
    assert (primary["n"] == 17).all()
    assert primary["note"].str.contains("1 rows without a value dropped").all()


def test_power_grows_and_keeps_its_size(study, stats):
    table = power_curve(design_table(*study), stats, simulations=200)
    assert table["power"].iloc[0] < 0.12
    assert table["power"].iloc[-1] > 0.6
    assert (table["low"] <= table["power"]).all()
    pd.testing.assert_frame_equal(table, power_curve(design_table(*study), stats, simulations=200))


def rewards_of(scores):
    models = scores.loc[scores["scheme"] == "more", ["base", "regime", "scheme", "trained_on", "seed"]]
    models = models.drop_duplicates().reset_index(drop=True)
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        list(itertools.product([f"p{i}" for i in range(40)], range(4))), columns=["prompt_id", "number"]
    )
    rows = models.merge(cells, how="cross")
    return rows.assign(reward=np.round(rng.normal(size=len(rows)), 1))  # with ties


def test_placebo_moves_ece_and_no_pick(scores, stats):
    table = placebo_table(rewards_of(scores), scores, stats, ("helpful", "harmless"))
    assert (table["changed_picks"] == 0).all()
    assert (table["n_prompts"] == 40).all()
    assert (table.groupby(["base", "trained_on", "seed"])["ece"].nunique() == 3).all()
    mean = table[table["trained_on"] == "mixture"].groupby("factor")["ece"].mean()
    assert mean[1.0] < min(mean[0.5], mean[2.0])


def test_placebo_refuses(scores, stats):
    rewards = rewards_of(scores)
    bad = rewards.copy()
    bad.loc[5, "reward"] = np.nan
    with pytest.raises(ValueError, match="row 5: reward is nan"):
        placebo_table(bad, scores, stats, ("helpful",))
    with pytest.raises(ValueError, match="has no test scores"):
        placebo_table(rewards.assign(scheme="other"), scores, stats, ("helpful",))
    assert placebo_table(rewards.iloc[:0], scores, stats, ("helpful",)).equals(tables.empty("placebo"))
