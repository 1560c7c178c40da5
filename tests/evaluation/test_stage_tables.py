import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from more_repro import tables
from more_repro.evaluation.comparisons.over_seeds import comparisons
from more_repro.evaluation.comparisons.seed_summary import METRICS, seed_summary
from more_repro.evaluation.metrics import calibration_slope, ece
from more_repro.evaluation.metrics.margins import box, margin_boxes, margin_histogram, outliers
from more_repro.evaluation.metrics.metrics_table import metrics_table, reliability_table
from more_repro.evaluation.metrics.scored_models import scored_models
from more_repro.schemes import PAPER
from more_repro.stats.intervals import mean_interval
from more_repro.stats.multiple_testing import holm

ALIGN = ("helpful", "harmless")


@pytest.fixture(scope="module")
def metrics(scores, truth):
    from more_repro.params import Stats

    stats = Stats(seed=7, bins=10, null_draws=200, bootstrap_draws=50, permutation_draws=500, confidence=0.95)
    return metrics_table(scores, truth, stats, ALIGN)


def one(table, **wanted):
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_every_model_has_every_source_and_its_pools(metrics):
    full = metrics[(metrics["scheme"] == "more") & (metrics["trained_on"] == "mixture")]
    assert full.groupby(["base", "seed"])["source"].agg(sorted).map(tuple).unique().tolist() == [
        ("align", "all", "harmless", "helpful", "oasst1")
    ]
    swept = metrics[metrics["trained_on"] == "first2"]
    assert set(swept["source"]) == {"align", "harmless", "helpful"}
    assert (metrics["scheme"] == "length").sum() == 5  # given by two bases, counted once


def test_metrics_row_equals_its_parts(scores, truth, metrics, stats):
    chosen = scores[(scores["base"] == "tiny") & (scores["scheme"] == "multitask") & (scores["seed"] == 1)]
    chosen = chosen[chosen["trained_on"] == "mixture"]
    test = chosen[(chosen["split"] == "test") & chosen["source"].isin(ALIGN)].merge(truth, on="pair_id")
    margins = test["reward_chosen"].to_numpy()
    fitted = chosen.loc[chosen["split"] == "validation", "reward_chosen"].to_numpy()
    row = one(metrics, base="tiny", scheme="multitask", seed=1, trained_on="mixture", source="align")
    assert (row["n_pairs"], row["n_prompts"]) == (400, 200)
    assert row["ece"] == pytest.approx(ece.ece_of(margins, 10))
    assert row["temperature"] == pytest.approx(calibration_slope.temperature(fitted))
    assert row["ece_after_temperature"] == pytest.approx(ece.ece_of(margins / row["temperature"], 10))
    assert row["overconfidence"] == pytest.approx(expit(np.abs(margins)).mean() - (margins > 0).mean())
    assert row["ece_true"] == pytest.approx(ece.ece_true(margins, test["true_preference"].to_numpy(), 10))
    assert row["pairwise_drift"] == pytest.approx(
        calibration_slope.pairwise_drift(margins, test["shared_margin"].to_numpy())
    )
    assert row["ece_excess"] == pytest.approx(row["ece"] - row["ece_null_mean"])
    assert row["log_loss"] == pytest.approx(calibration_slope.log_loss(margins).mean())
    for name in ("log_loss", "brier"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert row["ece_null_mean"] == pytest.approx(ece.null_mean(margins, 10), abs=0.004)
    assert row["ece_after_temperature_null_mean"] == pytest.approx(
        ece.null_mean(margins / row["temperature"], 10), abs=0.004
    )
    assert row["ece_p"] < 0.02  # margins doubled


def test_small_and_pooled_sets_are_marked_incomparable(metrics):
    rows = metrics[(metrics["scheme"] == "more") & (metrics["trained_on"] == "mixture")]
    for _, row in rows.iterrows():
        same = rows[(rows["base"] == row["base"]) & (rows["seed"] == row["seed"])].set_index("source")["ece_null_mean"]
        apart = same.index[(same - row["ece_null_mean"]).abs() > ece.NULL_GAP]
        assert set(filter(None, row["ece_not_beside"].split(", "))) == set(apart)
    assert rows.loc[rows["source"] == "helpful", "ece_not_beside"].str.contains("all").all()  # 200 pairs against 600
    assert (metrics.loc[metrics["scheme"] == "length", "ece_not_beside"] == "").all()


def test_length_has_accuracy_only_and_sweep_no_temperature(metrics):
    length = metrics[metrics["scheme"] == "length"]
    undefined = [name for name, kind in tables.SCHEMAS["metrics"].items() if kind == "float?"]
    assert length[undefined].isna().all(axis=None)
    assert length[["accuracy", "accuracy_low"]].notna().all(axis=None)
    assert metrics.loc[metrics["trained_on"] == "first2", "temperature"].isna().all()


def test_rows_do_not_depend_on_order_or_on_other_models(scores, truth, metrics, stats):
    some = scores[(scores["scheme"] == "more") & (scores["base"] == "tiny")].sample(frac=1, random_state=0)
    alone = metrics_table(some, truth, stats, ALIGN)
    there = metrics[(metrics["scheme"] == "more") & (metrics["base"] == "tiny")].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, there)


def test_unknown_truth_is_nan(scores, stats):
    some = scores[(scores["scheme"] == "more") & (scores["seed"] == 0)]
    assert metrics_table(some, None, stats, ALIGN)[["ece_true", "pairwise_drift"]].isna().all(axis=None)


def test_reliability_sums_to_the_ece(scores, metrics, stats):
    bins = reliability_table(scores, stats, ALIGN)
    key = ["base", "regime", "scheme", "trained_on", "seed", "source"]
    part = bins.assign(gap=(bins["accuracy"] - bins["mean_confidence"]).abs() * bins["n_pairs"])
    total = part.groupby(key)[["gap", "n_pairs"]].sum().reset_index()
    both = total.merge(metrics, on=key, suffixes=("", "_metrics"))
    assert len(both) == len(total) > 0
    np.testing.assert_allclose(both["gap"] / both["n_pairs"], both["ece"], atol=1e-12)
    assert (bins["null_low"] <= bins["null_high"]).all()
    assert (bins["scheme"] != "length").all()


def spoiled(scores, row, **values):
    table = scores.copy()
    for name, value in values.items():
        table.loc[row, name] = value
    return table


def test_bad_scores_are_refused_where_they_stand(scores, truth, stats):
    for value in (np.nan, np.inf):
        with pytest.raises(tables.TableError, match="'reward_chosen': row 3 holds"):
            metrics_table(spoiled(scores, 3, reward_chosen=value), truth, stats, ALIGN)
    with pytest.raises(ValueError, match="margin of tiny/resampled/single/helpful/0 is not finite"):
        metrics_table(spoiled(scores, 3, reward_chosen=1e308, reward_rejected=-1e308), truth, stats, ALIGN)
    with pytest.raises(ValueError, match="no row of split 'test'"):
        metrics_table(scores.iloc[:0], truth, stats, ALIGN)
    doubled = pd.concat([scores, spoiled(scores, 3, reward_chosen=0.123).iloc[[3]]], ignore_index=True)
    with pytest.raises(ValueError, match="helpful-test-3 of tiny/resampled/single/helpful/0 has two different"):
        metrics_table(doubled, truth, stats, ALIGN)
    with pytest.raises(ValueError, match="truth: no row for pair_id 'helpful-test-0', one of 1 missing"):
        metrics_table(scores, truth[truth["pair_id"] != "helpful-test-0"], stats, ALIGN)
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        metrics_table(scores, truth.assign(true_preference=1.2), stats, ALIGN)


def test_a_model_that_is_always_right_has_no_slope(stats):
    rows = {"base": "b", "regime": "r", "scheme": "more", "trained_on": "mixture", "seed": 0, "source": "helpful"}
    ids = [f"p{i}" for i in range(30)]
    table = pd.concat(
        [
            pd.DataFrame(rows | {"split": split, "pair_id": ids, "prompt_id": ids})
            .assign(reward_chosen=np.linspace(0.1, 2, 30), reward_rejected=0.0)
            for split in ("test", "validation")
        ],
        ignore_index=True,
    )  # fmt: skip
    row = metrics_table(table, None, stats, ("helpful",)).iloc[0]
    assert row["accuracy"] == 1
    assert row[["slope", "slope_low", "temperature", "ece_after_temperature"]].isna().all()


def test_box_is_matplotlibs():
    from matplotlib.cbook import boxplot_stats

    margins = np.random.default_rng(0).standard_t(2, 300)
    ours, theirs = box(margins), boxplot_stats(margins)[0]
    for name, other in [("q1", "q1"), ("median", "med"), ("q3", "q3"), ("whisker_low", "whislo"), ("mean", "mean")]:
        assert ours[name] == pytest.approx(theirs[other])
    assert ours["whisker_high"] == pytest.approx(theirs["whishi"])


def test_margin_tables_hold_shown_models_only(scores, stats):
    models = scored_models(scores)
    boxes = margin_boxes(models, ("mixture", "helpful"))
    assert set(boxes["trained_on"]) == {"mixture", "helpful"}
    counts = boxes.groupby(["base", "scheme", "seed", "source", "trained_on"])["n_pairs"].sum()
    assert (counts == 200).all()
    histogram = margin_histogram(models, ("mixture",))
    edges = histogram[histogram["source"] == "helpful"].groupby("base")["bin_low"].nunique()
    assert (edges == 50).all()
    area = histogram["density"] * (histogram["bin_high"] - histogram["bin_low"])
    key = [histogram[name] for name in ("base", "scheme", "seed", "source")]
    np.testing.assert_allclose(area.groupby(key).sum(), 1)
    assert (histogram.groupby(["base", "scheme", "seed", "source"])["n_pairs"].sum() == 200).all()


def test_outliers_by_hand(stats):
    margins = np.r_[np.linspace(-1, 1, 41), 5.0, 7.0, -9.0]
    ids = [f"p{i}" for i in range(44)]
    table = pd.DataFrame({"split": "test", "pair_id": ids, "prompt_id": ids, "reward_chosen": margins}).assign(
        base="b", regime="r", scheme="more", trained_on="mixture", seed=0, source="helpful", reward_rejected=0.0
    )
    row = outliers(scored_models(table), ("mixture",), stats).iloc[0]
    assert (row["positive_count"], row["positive_mean"]) == (2, 6)
    assert (row["negative_count"], row["negative_mean"]) == (1, -9)
    assert outliers(scored_models(table), ("none",), stats).empty


def test_seed_summary_means_and_top(metrics, stats):
    summary = seed_summary(metrics, stats, PAPER)
    assert set(summary["metric"]) == set(METRICS)
    mix = metrics[(metrics["base"] == "tiny") & (metrics["scheme"] == "more") & (metrics["trained_on"] == "mixture")]
    plain = mix[~mix["source"].isin(["all", "align"])].groupby("seed")["ece"].mean()
    row = one(summary, base="tiny", scheme="more", trained_on="mixture", source="mean", metric="ece")
    expected = mean_interval(plain, 0.95)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((expected.estimate, expected.low, expected.high))
    assert (row["n_seeds"], row["n_pairs"]) == (3, 600)
    singles = metrics[(metrics["base"] == "tiny") & (metrics["scheme"] == "single")]
    own = singles[singles["trained_on"] == singles["source"]]
    top = one(summary, base="tiny", scheme="top", source="mean", metric="accuracy")
    assert top["estimate"] == pytest.approx(own["accuracy"].mean())
    assert top["trained_on"] == "each"
    assert summary[(summary["trained_on"] == "first2") & (summary["source"] == "mean")].empty
    length = one(summary, scheme="length", source="all", metric="ece")
    assert length["n_seeds"] == 0
    assert np.isnan(length["estimate"])
    rule = metrics[metrics["scheme"] == "length"].set_index("source")
    pooled = one(summary, scheme="length", source="all", metric="accuracy")
    assert (pooled["low"], pooled["high"]) == (rule.loc["all", "accuracy_low"], rule.loc["all", "accuracy_high"])
    plain = rule.drop(index=[name for name in ("all", "align") if name in rule.index])
    mean = one(summary, scheme="length", source="mean", metric="accuracy")
    half = np.sqrt(((plain["accuracy_high"] - plain["accuracy"]) ** 2).sum()) / len(plain)
    assert mean["high"] == pytest.approx(plain["accuracy"].mean() + half)
    assert mean["low"] < mean["estimate"] < mean["high"]


def test_comparisons_are_paired_and_holm_is_within_the_family(metrics, stats):
    table = comparisons(metrics, stats, PAPER)
    row = one(table, base="tiny", scheme="more", trained_on="mixture", source="all", metric="ece")
    wide = metrics[(metrics["base"] == "tiny") & (metrics["source"] == "all") & (metrics["trained_on"] == "mixture")]
    wide = wide.pivot_table(index="seed", columns="scheme", values="ece")
    expected = mean_interval(wide["more"] - wide["multitask"], 0.95)
    assert (row["estimate"], row["p"]) == pytest.approx((expected.estimate, expected.p))
    family = table[(table["base"] == "tiny") & (table["source"] == "all") & (table["trained_on"] == "mixture")]
    tested = family["metric"].isin(["accuracy", "log_loss", "log_slope", "ece"])
    np.testing.assert_allclose(family.loc[tested, "p_holm"], holm(family.loc[tested, "p"]))
    assert family.loc[~tested, "p_holm"].isna().all()
    assert table.loc[~table["source"].isin(["all", "align"]), "p_holm"].isna().all()
    assert set(table.loc[table["trained_on"] == "first2", "scheme"]) == {"more"}
    assert set(table.loc[table["trained_on"] == "mixture", "scheme"]) == {"more", "averaging"}
    # A calibrated model against one with doubled margins: log slope differs by log 2.
    assert one(table, base="tiny", scheme="more", trained_on="mixture", source="all", metric="log_slope")[
        "estimate"
    ] == pytest.approx(np.log(2), abs=0.3)


def test_one_seed_gives_no_interval(metrics, stats):
    table = comparisons(metrics[metrics["seed"] == 0], stats, PAPER)
    assert len(table)
    assert table[["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert comparisons(metrics[metrics["scheme"] == "raw"], stats, PAPER).empty
