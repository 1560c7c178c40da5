import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from more_repro import tables
from more_repro.evaluation.claims import rules as v
from more_repro.evaluation.claims.claims import judge_claims
from more_repro.evaluation.claims.regime_view import size_trend
from more_repro.evaluation.regression.regression import ALIKE, PERMUTATION
from more_repro.evaluation.stages import evaluate_all, regress_all
from more_repro.params import load_params
from more_repro.schemes import Roles
from more_repro.stats.intervals import NAN, Interval
from renamed import renamed, renamed_params

NAMES = ("helpful", "harmless", "oasst1")
SIZES = {"tiny": 28_416, "small": 89_600}
BY_NULL = ("ece_sd", "ece_p", "ece_excess", "ece_not_beside", "ece_incomparable_with")


@pytest.fixture(scope="module")
def params(root):
    whole = load_params(root / "params" / "small.yaml")
    one = next(iter(whole.sources.values()))
    shape = next(iter(whole.bases.values()))
    sweep = whole.rm.sweep.model_copy(update={"bases": ("tiny",), "schemes": ("multitask", "more"), "counts": (2,)})
    regime = next(iter(whole.regimes.values())).model_copy(update={"unique_pairs": {"oasst1": 150}})
    return whole.model_copy(
        update={
            "sources": dict.fromkeys(NAMES, one),
            "regimes": {"resampled": regime},
            "bases": {"tiny": shape, "small": shape},
            "rm": whole.rm.model_copy(update={"sweep": sweep}),
            "align": whole.align.model_copy(update={"sources": ("helpful", "harmless")}),
            "stats": whole.stats.model_copy(update={"null_draws": 100, "permutation_draws": 200}),
        }
    )


@pytest.fixture(scope="module")
def evaluated(params, scores, truth):
    # Exactly doubled margins would leave no spread over seeds, and seeds without spread decide nothing.
    jitter = scores["scheme"].eq("multitask") * (1 + scores["seed"]) * scores["base"].map(len).fillna(0) * 0.002
    return evaluate_all(params, scores.assign(reward_chosen=scores["reward_chosen"] * (1 + jitter)), truth)


@pytest.fixture(scope="module")
def regressed(params, evaluated, scores):
    metrics = evaluated["metrics"]
    aligned = metrics[(metrics["source"] == "align") & (metrics["trained_on"] == "mixture")].reset_index(drop=True)
    aligned = aligned[["base", "regime", "scheme", "trained_on", "seed", "ece", "accuracy"]]
    net = -3 * aligned["ece"] + np.random.default_rng(0).normal(0, 0.002, len(aligned))
    names = aligned.drop(columns=["ece", "accuracy"]).assign(policy="p")
    wins = names.assign(opponent="untuned", source="all", n_prompts=9, n_invalid=0, win=0.4, tie=0.2, lose=0.4)
    wins = wins.assign(net=net, net_low=net, net_high=net)
    perplexity = names.assign(
        source="helpful", perplexity=10 - net, perplexity_low=9.0, perplexity_high=11.0, median_perplexity=9.0,
        mean_perplexity=9.5, n_texts=10, n_tokens=100, n_long=0, n_outliers=0,
    )  # fmt: skip
    rewards = names.drop(columns="policy").merge(pd.DataFrame({"prompt_id": ["a"] * 2, "number": [0, 1]}), how="cross")
    rewards = rewards.assign(reward=np.arange(float(len(rewards))))
    return regress_all(params, metrics, wins, perplexity, rewards, scores)


@pytest.fixture(scope="module")
def claims(params, evaluated, regressed):
    return judge_claims(params, SIZES, evaluated["metrics"], evaluated["outliers"], regressed["regression"])


def test_every_table_passes_its_schema(evaluated, regressed):
    for name, table in (evaluated | regressed).items():
        assert len(tables.check(table, name)), name


def test_regression_has_the_run_its_regimes_and_the_published_points(regressed):
    assert list(dict.fromkeys(regressed["regression"]["data"])) == ["this run", "this run: resampled", "published"]


def test_one_row_per_claim_and_data(claims):
    assert list(claims["claim"]) == [f"C{i}" for i in range(1, 8)] * 2
    assert list(claims["data"].unique()) == ["this run: resampled", "published"]
    assert set(claims["verdict"]) <= {v.SUPPORTED, v.NOT_SUPPORTED, v.UNDECIDED}
    assert (claims[["rule", "sentence", "statement"]].map(len) > 20).all(axis=None)


def test_verdicts_follow_the_synthetic_truth(claims):
    run = claims[claims["data"] != "published"].set_index("claim")
    assert run.loc["C1", "verdict"] == v.SUPPORTED  # singles at chance off their source, margins of different size
    assert run.loc["C3", "verdict"] == v.SUPPORTED  # multitask has the calibrated margins of more, doubled
    assert run.loc["C4", "verdict"] == v.SUPPORTED
    # Three schemes cannot tell a scheme's own effect from that of its ECE, and their placebo moves with the outcome.
    assert run.loc["C6", "verdict"] == v.UNDECIDED
    assert "confounded" in run.loc["C6", "sentence"]
    assert run.loc["C7", "verdict"] == v.SUPPORTED
    assert "oasst1" in run.loc["C5", "sentence"]
    assert run.loc["C5", "n"] == 3


def test_published_verdicts(claims):
    paper = claims[claims["data"] == "published"].set_index("claim")
    assert (paper["verdict"] == v.SUPPORTED).to_dict() == {f"C{i}": i == 7 for i in range(1, 8)}
    assert "figure only" in paper.loc["C5", "sentence"]
    assert paper.loc["C3", "estimate"] == pytest.approx(-0.0092, abs=1e-4)
    assert paper.loc["C3", "high"] < 0
    assert "descriptive only" in paper.loc["C6", "sentence"]


def test_one_base_and_one_seed_are_undecided_with_a_reason(params, evaluated, regressed):
    few = params.model_copy(update={"bases": {"tiny": params.bases["tiny"]}})
    metrics = evaluated["metrics"]
    metrics = metrics[metrics["base"] == "tiny"]
    table = judge_claims(few, SIZES, metrics, evaluated["outliers"], regressed["regression"]).set_index(
        ["claim", "data"]
    )
    row = table.loc[("C2", "this run: resampled")]
    assert row["verdict"] != v.SUPPORTED
    assert "one base only" in row["sentence"]
    alone = metrics[metrics["seed"] == 0]
    table = judge_claims(few, SIZES, alone, evaluated["outliers"], regressed["regression"])
    run = table[table["data"] != "published"].set_index("claim")
    assert (run.loc[["C1", "C2", "C3", "C4", "C5", "C7"], "verdict"] == v.UNDECIDED).all()
    assert "no interval" in run.loc["C3", "sentence"]


def test_verdicts_do_not_hang_on_the_names_of_schemes(params, evaluated, regressed, claims):
    other = renamed_params(params)
    assert other.roles == Roles("momentum_mgda", "vanilla", "per_source")
    tables_of = [renamed(one) for one in (evaluated["metrics"], evaluated["outliers"], regressed["regression"])]
    pd.testing.assert_frame_equal(judge_claims(other, SIZES, *tables_of), claims, check_exact=True)


def test_an_undecided_claim_names_the_schemes_of_the_study(params, evaluated):
    other = renamed_params(params)
    nothing = tables.empty("regression")
    raw = evaluated["metrics"][evaluated["metrics"]["scheme"] == "raw"]
    found = judge_claims(other, SIZES, raw, tables.empty("outliers"), nothing).set_index(["claim", "data"])["sentence"]
    assert found["C3", "this run: resampled"] == "Undecided: vanilla and momentum_mgda were not both trained."


def test_tables_of_an_evaluation_differ_in_names_alone(params, evaluated, scores, truth):
    """Null bands are drawn by a model's name and differ by their own noise: columns without them are equal."""
    jitter = scores["scheme"].eq("multitask") * (1 + scores["seed"]) * scores["base"].map(len).fillna(0) * 0.002
    moved = scores.assign(reward_chosen=scores["reward_chosen"] * (1 + jitter))
    other = evaluate_all(renamed_params(params), renamed(moved), truth)
    keys = ["base", "regime", "scheme", "trained_on", "seed", "against", "source", "metric", "statistic", "bin_low"]
    for name, table in evaluated.items():
        one, two = renamed(table), other[name]
        assert len(one) == len(two), name
        if "metric" in one.columns:
            one, two = (rows[rows["metric"] != "ece_excess"] for rows in (one, two))
        order = [key for key in keys if key in one.columns]
        drawn = [column for column in one.columns if "null" in column or column in BY_NULL]
        drawn += ["low", "high", "p", "p_holm"] if name == "paired" else []
        one, two = (rows.drop(columns=drawn).sort_values(order).reset_index(drop=True) for rows in (one, two))
        pd.testing.assert_frame_equal(one, two, rtol=1e-12, check_exact=False, obj=name)


def test_the_size_of_a_base_is_its_number_of_parameters(params, evaluated, regressed):
    """C2 asks what a larger base loses; which one is larger is counted, not taken from settings."""
    tables_of = evaluated["metrics"], evaluated["outliers"], regressed["regression"]
    of = "this run: resampled"
    slopes = []
    for sizes in (SIZES, {"tiny": SIZES["small"], "small": SIZES["tiny"]}):
        sentence = judge_claims(params, sizes, *tables_of).set_index(["claim", "data"])["sentence"]["C2", of]
        slopes.append(float(re.search(r"per step in base size ([-+.0-9]+)", sentence)[1]))
    assert slopes[0] == -slopes[1] != 0


def test_absent_rows_are_undecided(params, evaluated):
    nothing = tables.empty("regression")
    only_raw = evaluated["metrics"][evaluated["metrics"]["scheme"] == "raw"]
    table = judge_claims(params, SIZES, only_raw, tables.empty("outliers"), nothing)
    run = table[table["data"] != "published"]
    assert (run["verdict"] == v.UNDECIDED).all()
    assert run["sentence"].str.startswith("Undecided: ").all()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.3, v.SUPPORTED), (-0.3, -0.1, v.NOT_SUPPORTED), (-0.1, 0.02, v.NOT_SUPPORTED), (-0.1, 0.2, v.UNDECIDED),
     (NAN, NAN, v.UNDECIDED)],
)  # fmt: skip
def test_judging_is_mirrored_by_the_sign(low, high, verdict):
    assert v.judge(Interval(0.0, low, high), 1, 0.05) == verdict
    assert v.judge(Interval(0.0, -high, -low), -1, 0.05) == verdict


def test_combining_needs_all_and_one_refutes():
    assert v.combine([v.SUPPORTED, v.SUPPORTED]) == v.SUPPORTED
    assert v.combine([v.SUPPORTED, v.UNDECIDED]) == v.UNDECIDED
    assert v.combine([v.UNDECIDED, v.NOT_SUPPORTED]) == v.NOT_SUPPORTED
    assert v.at_least(Interval(0.0, -0.01, 0.02), -0.03) == v.SUPPORTED


def test_size_trend_is_least_squares_of_base_means_on_ranks():
    change = pd.Series([0.0, 0.1, 0.2, 0.35, 0.4])
    interval = size_trend([10, 10, 500, 9000, 9000], change, 0.95)
    fit = linregress([0, 1, 2], [0.05, 0.2, 0.375])
    assert (interval.estimate, interval.p, interval.n) == pytest.approx((fit.slope, fit.pvalue, 3))
    two = size_trend([10, 10, 500, 500], change[:4], 0.95)  # seeds are no replicates of a trend over bases
    assert two.n == 2
    assert np.isnan(two.low)
    assert size_trend([3, 3], change[:2], 0.95).n == 0


def regression_rows(**changes) -> pd.DataFrame:
    """Rows of a run whose ECE has an effect by every test and whose placebo has none."""
    ece = {"term": "ece", "method": PERMUTATION, "estimate": -2.0, "low": -3.0, "high": -1.0, "p": 0.01, "p_holm": 0.02}
    alike = ece | {"method": ALIKE, "low": NAN, "high": NAN, "p": 0.04, "p_holm": NAN}
    placebo = ece | {"term": "ece_temperature", "estimate": 0.1, "low": -0.5, "high": 0.7, "p": 0.8, "p_holm": 0.8}
    rows = {"ece": ece, "alike": alike, "placebo": placebo}
    table = pd.DataFrame(
        [row | changes.get(name, {}) for name, row in rows.items() if changes.get(name, {}) is not None]
    )
    return table.assign(data="this run: resampled", outcome="net_win", vif=1.0, n=24, n_groups=2, note="")


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, v.SUPPORTED, "placebo"),
        ({"placebo": {"low": 0.05, "p": 0.03}}, v.UNDECIDED, "confounded"),
        ({"placebo": None}, v.UNDECIDED, "no placebo"),
        ({"ece": {"p_holm": 0.06}}, v.UNDECIDED, "Holm"),
        ({"alike": {"p": 0.2}}, v.UNDECIDED, "alike"),
        ({"alike": None}, v.UNDECIDED, "alike"),
        ({"ece": {"low": -0.5, "high": 0.5, "p_holm": 0.9}}, v.NOT_SUPPORTED, "Holm"),
    ],
)
def test_c6_needs_both_permutations_and_a_placebo_of_nothing(params, evaluated, changes, verdict, words):
    table = judge_claims(params, SIZES, evaluated["metrics"], evaluated["outliers"], regression_rows(**changes))
    row = table[(table["claim"] == "C6") & (table["data"] != "published")].iloc[0]
    assert row["verdict"] == verdict
    assert words in row["sentence"]


def test_sources_without_outliers_of_both_are_left_out_of_c4_and_counted(params, evaluated, regressed):
    outliers = evaluated["outliers"].copy()
    gone = outliers["scheme"].eq("more") & outliers["source"].eq("helpful") & outliers["seed"].eq(0)
    outliers.loc[gone, ["positive_count", "negative_count"]] = 0
    counts = []
    for rows in (evaluated["outliers"], outliers):
        table = judge_claims(params, SIZES, evaluated["metrics"], rows, regressed["regression"])
        sentence = table[(table["claim"] == "C4") & (table["data"] != "published")]["sentence"].item()
        found = re.search(r"of 18 base, seed and source, (\d+) without outliers of both left out", sentence)
        counts.append(int(found[1]) if found else 0)
    assert counts[1] == counts[0] + 2  # one seed and source in each of two bases


def test_one_printed_difference_has_one_p(params, claims, regressed):
    noise = regressed["published_noise"].query("table == 'table1' and scheme == 'more'").set_index("base")
    sentence = claims[(claims["claim"] == "C3") & (claims["data"] == "published")]["sentence"].item()
    for base, p in noise["p_difference"].items():
        assert f"{base} {p:.3f}" in sentence
