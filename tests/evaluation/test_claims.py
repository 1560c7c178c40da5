import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.evaluation import verdicts as v
from more_repro.evaluation.claims import judge_claims
from more_repro.evaluation.intervals import NAN, Interval
from more_repro.evaluation.stages import evaluate_all, regress_all
from more_repro.evaluation.study import size_trend
from more_repro.params import load_params

NAMES = ("helpful", "harmless", "oasst1")


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
            "bases": {"tiny": shape, "small": shape.model_copy(update={"hidden_size": 4 * shape.hidden_size})},
            "rm": whole.rm.model_copy(update={"sweep": sweep}),
            "align": whole.align.model_copy(update={"sources": ("helpful", "harmless")}),
            "stats": whole.stats.model_copy(update={"null_draws": 100, "permutation_draws": 200}),
        }
    )


@pytest.fixture(scope="module")
def evaluated(params, scores, truth):
    return evaluate_all(params, scores, truth)


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
        n_texts=10, n_tokens=100, n_outliers=0,
    )  # fmt: skip
    rewards = names.drop(columns="policy").merge(pd.DataFrame({"prompt_id": ["a"] * 2, "number": [0, 1]}), how="cross")
    rewards = rewards.assign(reward=np.arange(float(len(rewards))))
    return regress_all(params, metrics, wins, perplexity, rewards, scores)


@pytest.fixture(scope="module")
def claims(params, evaluated, regressed):
    return judge_claims(params, evaluated["metrics"], evaluated["outliers"], regressed["regression"])


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
    assert run.loc["C6", "verdict"] == v.SUPPORTED
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
    table = judge_claims(few, metrics, evaluated["outliers"], regressed["regression"]).set_index(["claim", "data"])
    row = table.loc[("C2", "this run: resampled")]
    assert row["verdict"] != v.SUPPORTED
    assert "one base only" in row["sentence"]
    alone = metrics[metrics["seed"] == 0]
    table = judge_claims(few, alone, evaluated["outliers"], regressed["regression"])
    run = table[table["data"] != "published"].set_index("claim")
    assert (run.loc[["C1", "C2", "C3", "C4", "C5", "C7"], "verdict"] == v.UNDECIDED).all()
    assert "no interval" in run.loc["C3", "sentence"]


def test_absent_rows_are_undecided(params, evaluated):
    nothing = tables.empty("regression")
    only_raw = evaluated["metrics"][evaluated["metrics"]["scheme"] == "raw"]
    table = judge_claims(params, only_raw, tables.empty("outliers"), nothing)
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


def test_size_trend_is_least_squares_on_ranks():
    change = pd.Series([0.0, 0.1, 0.2, 0.35, 0.4])
    interval = size_trend([10, 10, 500, 9000, 9000], change, 0.95)
    assert interval.estimate == pytest.approx(np.polyfit([0, 0, 1, 2, 2], change, 1)[0])
    assert size_trend([3, 3], change[:2], 0.95).n == 0
