import numpy as np
import pandas as pd
import pytest

from more_repro.evaluation.claims.more_against_controls import (
    BETTER,
    SAME,
    UNDECIDED,
    WORSE,
    _verdict,
    controls_table,
)
from more_repro.evaluation.comparisons.over_seeds import TESTED, comparisons
from more_repro.evaluation.metrics.metrics_table import metrics_table
from more_repro.params import Stats
from more_repro.schemes import PAPER
from more_repro.stats.intervals import mean_interval, stratified_mean
from more_repro.stats.multiple_testing import holm

STATS = Stats(seed=7, bins=10, null_draws=20, bootstrap_draws=20, permutation_draws=20, confidence=0.95)
NOISE = np.array([-0.001, 0.0, 0.001])


@pytest.fixture(scope="module")
def metrics(scores, truth):
    """MORE's rows, and controls made from them: ECE and accuracy moved by so much, with a little noise over seeds."""
    mixed = scores[scores["scheme"].isin(["multitask", "more"]) & (scores["trained_on"] == "mixture")]
    table = metrics_table(mixed, truth, STATS, ("helpful", "harmless"))
    more = table[table["scheme"] == "more"]
    shifts = {"higher": (0.02, 0.0), "lower": (-0.02, 0.0), "same": (0.0, 0.0), "dear": (0.02, 0.05), "loud": (0.02, 0)}
    made = []
    for name, (ece, accuracy) in shifts.items():
        noise = more["seed"].map(dict(enumerate(NOISE * (30 if name == "loud" else 1))))
        made.append(more.assign(scheme=name, ece=more["ece"] + ece + noise, accuracy=more["accuracy"] + accuracy))
    return pd.concat([table, *made], ignore_index=True)


CONTROLS = ("higher", "lower", "same", "dear", "loud")


def test_verdicts_follow_the_rule(metrics):
    table = controls_table(metrics, STATS, PAPER, CONTROLS).set_index("against")
    assert table.loc[list(CONTROLS), "verdict"].tolist() == [BETTER, WORSE, SAME, UNDECIDED, UNDECIDED]
    assert table["n_models"].tolist() == [6] * 6
    assert table["n_bases"].tolist() == [2] * 6
    assert table["n_pairs"].tolist() == [600] * 6
    assert table.loc["higher", "ece"] == pytest.approx(-0.02)
    assert table.loc["dear", "accuracy"] == pytest.approx(-0.05)


def test_intervals_are_over_seeds_within_bases_and_holm_over_the_rows(metrics):
    table = controls_table(metrics, STATS, PAPER, CONTROLS)
    rows = metrics[(metrics["source"] == "all") & (metrics["trained_on"] == "mixture")]
    wide = rows.pivot_table(index=["base", "seed"], columns="scheme", values="ece")
    expected = stratified_mean(
        (wide["more"] - wide["multitask"]).to_numpy(), list(wide.index.get_level_values("base")), 0.95
    )
    row = table[table["against"] == "multitask"].iloc[0]
    assert (row["ece"], row["ece_low"], row["p"]) == pytest.approx((expected.estimate, expected.low, expected.p))
    np.testing.assert_allclose(table["p_holm"], holm(table["p"]))


def test_one_seed_decides_nothing(metrics):
    table = controls_table(metrics[metrics["seed"] == 0], STATS, PAPER, CONTROLS)
    assert table[["ece_low", "p", "p_holm"]].isna().all(axis=None)
    assert set(table["verdict"]) == {UNDECIDED}
    assert controls_table(metrics[metrics["scheme"] != "more"], STATS, PAPER, CONTROLS).empty


def test_comparisons_hold_more_against_controls_in_a_family_of_its_own(metrics):
    table = comparisons(metrics, STATS, PAPER, ("higher", "lower"))
    assert set(table["against"]) == {"multitask", "higher", "lower"}
    against = table[(table["against"] != "multitask") & (table["base"] == "tiny") & (table["source"] == "all")]
    assert set(against["scheme"]) == {"more"}
    tested = against["metric"].isin(TESTED)
    np.testing.assert_allclose(against.loc[tested, "p_holm"], holm(against.loc[tested, "p"]))
    row = against[(against["against"] == "higher") & (against["metric"] == "ece")].iloc[0]
    expected = mean_interval(-0.02 - NOISE, 0.95)
    assert (row["estimate"], row["low"]) == pytest.approx((expected.estimate, expected.low))
    alone = comparisons(metrics, STATS, PAPER)
    pd.testing.assert_frame_equal(alone, table[table["against"] == "multitask"])


@pytest.mark.parametrize(
    ("ece", "accuracy", "p_holm", "verdict"),
    [
        ((-0.010, -0.006), (-0.01, 0.01), 0.01, BETTER),
        ((-0.004, -0.002), (-0.01, 0.01), 0.01, SAME),  # below the smallest ECE of interest, however certain
        ((-0.004, -0.002), (-0.03, -0.01), 0.01, UNDECIDED),
        ((-0.004, 0.004), (0.01, 0.05), 0.9, UNDECIDED),
        ((0.006, 0.010), (-0.01, 0.01), 0.01, WORSE),
        ((0.006, 0.010), (0.01, 0.05), 0.01, UNDECIDED),  # worse calibrated, perhaps more accurate
        ((-0.010, -0.006), (-0.05, 0.01), 0.01, UNDECIDED),
        ((np.nan, np.nan), (-0.01, 0.01), np.nan, UNDECIDED),
    ],
)
def test_every_verdict_needs_its_accuracy(ece, accuracy, p_holm, verdict):
    row = {"ece": np.mean(ece), "ece_low": ece[0], "ece_high": ece[1], "p_holm": p_holm}
    row |= {"accuracy_low": accuracy[0], "accuracy_high": accuracy[1]}
    assert _verdict(row, STATS) == verdict
