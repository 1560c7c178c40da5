"""Ensembles of the single models are further rows of every table; claims and controls read the same rows as before."""

import numpy as np
import pandas as pd
import pytest

from more_repro.evaluation.claims.claims import judge_claims
from more_repro.evaluation.regression.design import design_table
from more_repro.evaluation.stages import evaluate_all
from more_repro.params import Params, load_params
from more_repro.records import MODEL_KEY
from more_repro.schemes import ENSEMBLES

NAMES = ("helpful", "harmless", "oasst1")
KEY = ["base", "regime", "seed", "split", "source", "pair_id", "prompt_id"]


@pytest.fixture(scope="module")
def params(root) -> Params:
    whole = load_params(root / "params" / "small.yaml")
    one, shape = next(iter(whole.sources.values())), next(iter(whole.bases.values()))
    regime = next(iter(whole.regimes.values())).model_copy(update={"unique_pairs": {}})
    return whole.model_copy(
        update={
            "sources": dict.fromkeys(NAMES, one),
            "regimes": {"resampled": regime},
            "bases": {"tiny": shape, "small": shape},
            "align": whole.align.model_copy(update={"sources": NAMES[:2]}),
            "stats": whole.stats.model_copy(update={"null_draws": 60, "bootstrap_draws": 60, "permutation_draws": 60}),
        }
    )


def with_ensembles(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores and those of weighted mean, minimum, and mean less spread of the single models."""
    singles = scores[scores["scheme"] == "single"].groupby(KEY)["reward_chosen"]
    weights = np.array([0.2, 0.3, 0.5])
    made = {
        "ensemble_weighted": singles.agg(lambda rewards: float(rewards.to_numpy() @ weights)),
        "ensemble_minimum": singles.min(),
        "ensemble_cautious": singles.mean() - singles.std(),
    }
    parts = [
        rewards.reset_index().assign(scheme=name, trained_on="mixture", reward_rejected=0.0)
        for name, rewards in made.items()
    ]
    return pd.concat([scores, *parts], ignore_index=True)


@pytest.fixture(scope="module")
def both(params, scores, truth) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    return evaluate_all(params, scores, truth), evaluate_all(params, with_ensembles(scores), truth)


def others(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["scheme"].isin(ENSEMBLES)].reset_index(drop=True)


def test_ensembles_are_measured_like_every_mixed_model(both):
    _, after = both
    for name in ("metrics", "reliability", "margin_boxes", "outliers", "seed_summary", "comparisons", "paired"):
        assert set(ENSEMBLES) <= set(after[name]["scheme"]), name
    rows = after["metrics"][after["metrics"]["scheme"].isin(ENSEMBLES)]
    assert len(rows) == 3 * 2 * 3 * 5  # ensembles, bases, seeds, three sources and two pools
    assert set(rows["trained_on"]) == {"mixture"}


def test_rows_of_other_models_do_not_change(both):
    before, after = both
    for name in ("metrics", "reliability", "margin_boxes", "outliers", "seed_summary", "length_bias"):
        pd.testing.assert_frame_equal(others(after[name]), before[name])


def test_more_is_not_held_against_ensembles(both):
    before, after = both
    pd.testing.assert_frame_equal(after["controls"], before["controls"])
    assert not set(ENSEMBLES) & set(after["comparisons"]["against"])
    assert not set(ENSEMBLES) & set(after["paired"]["against"])


def policies(metrics: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A policy for every mixed model of the metrics, ensembles among them."""
    rows = metrics[(metrics["source"] == "align") & (metrics["trained_on"] == "mixture")]
    named = rows[list(MODEL_KEY)].reset_index(drop=True).assign(policy="p", source="all", n_prompts=9)
    wins = named.assign(opponent="untuned", n_invalid=0, win=0.4, tie=0.2, lose=0.4, net=0.0, net_low=0.0, net_high=0.0)
    texts = dict.fromkeys(
        ("perplexity", "perplexity_low", "perplexity_high", "mean_perplexity", "median_perplexity"), 9.0
    )
    counts = {"n_texts": 10, "n_tokens": 100, "n_long": 0, "n_outliers": 0}
    return wins, named.drop(columns="n_prompts").assign(**texts, **counts).assign(source="helpful")


def test_an_aligned_ensemble_is_no_point_of_the_regression(both):
    before, after = both
    held = design_table(after["metrics"], *policies(after["metrics"]))
    assert not set(ENSEMBLES) & set(held["scheme"])
    pd.testing.assert_frame_equal(held, design_table(before["metrics"], *policies(before["metrics"])))


def test_no_claim_reads_an_ensemble(params, both):
    nothing = pd.DataFrame({"data": [], "outcome": [], "term": [], "method": []})
    before, after = (judge_claims(params, {}, made["metrics"], made["outliers"], nothing) for made in both)
    assert before["claim"].nunique() == 7
    assert before.loc[before["data"] != "published", "estimate"].notna().sum() >= 5
    pd.testing.assert_frame_equal(after, before)
