import numpy as np
import pytest
from scipy.special import expit

from more_repro.evaluation.metrics.length_bias import (
    CORRELATION,
    EXCESS,
    EXPECTED,
    LONGER,
    _rows,
    correlation,
    length_bias,
)
from more_repro.evaluation.metrics.scored_models import Pairs, scored_models
from more_repro.params import Stats

STATS = Stats(seed=7, bins=10, null_draws=20, bootstrap_draws=20, permutation_draws=20, confidence=0.95)
ALIGN = ("helpful", "harmless")


def test_correlation_is_pearsons_over_both_orders():
    rng = np.random.default_rng(0)
    words = rng.integers(-20, 20, 300).astype(float)
    margins = 0.05 * words + rng.standard_normal(300)
    both = np.corrcoef(np.r_[margins, -margins], np.r_[words, -words])[0, 1]
    found = correlation(margins, words, np.arange(300), 0.95)
    assert found.estimate == pytest.approx(both, abs=1e-12)
    assert found.low < both < found.high
    flip = rng.choice([-1.0, 1.0], 300)  # which response is called chosen does not matter
    assert correlation(margins * flip, words * flip, np.arange(300), 0.95) == found


def test_correlation_interval_covers_with_prompts_of_several_pairs():
    rng = np.random.default_rng(1)
    prompts = np.repeat(np.arange(120), 3)
    hits = 0
    for _ in range(300):
        words = rng.standard_normal(360) + np.repeat(rng.standard_normal(120), 3)
        margins = 0.5 * words + rng.standard_normal(360) + np.repeat(rng.standard_normal(120), 3)
        found = correlation(margins, words, prompts, 0.95)
        # Variance of words 2, of margins .25 * 2 + 2; covariance .5 * 2.
        hits += found.low <= 1 / np.sqrt(2 * 2.5) <= found.high
    assert 0.91 < hits / 300 < 0.985


def test_constant_and_identical_are_told():
    words = np.array([1.0, -2.0, 3.0])
    assert np.isnan(correlation(np.zeros(3), words, np.arange(3), 0.95).estimate)
    same = correlation(2 * words, words, np.arange(3), 0.95)
    assert same.estimate == pytest.approx(1)
    assert np.isnan(same.low)


def test_a_model_of_words_is_found_and_the_rule_gives_the_share_of_the_labels(scores, stats):
    words = scores.drop_duplicates().query("scheme == 'length' and split == 'test'").set_index("pair_id")
    few = scores[scores["scheme"].isin(["more", "length"])].drop_duplicates().copy()
    is_more = few["scheme"].eq("more")
    few.loc[is_more, "reward_chosen"] = few.loc[is_more, "pair_id"].map(words["reward_chosen"]).fillna(1.0) * 0.01
    table = length_bias(scored_models(few), stats, ALIGN)
    assert set(table["scheme"]) == {"more", "length"}
    assert not table["trained_on"].str.startswith("first").any()
    more = table[table["scheme"] == "more"]
    assert (more.loc[more["statistic"] == CORRELATION, "estimate"] > 0.999).all()
    assert (more.loc[more["statistic"] == LONGER, "estimate"] == 1).all()
    rule = table[(table["scheme"] == "length") & (table["source"] == "helpful")]
    assert rule["statistic"].tolist() == [LONGER]
    helpful = words[words["source"] == "helpful"]
    assert rule["estimate"].item() == (helpful["reward_chosen"] > 0).mean()


def test_a_perfect_model_prefers_the_longer_more_often_and_has_no_excess():
    rng = np.random.default_rng(0)
    covered, choices, labels = 0, [], []
    for _ in range(200):
        words = np.repeat(rng.integers(-6, 7, 200), 2).astype(float)
        toward = 0.8 + 0.5 * rng.standard_normal(400)  # log odds that the longer response is preferred
        longer = rng.random(400) < expit(toward)
        sign = np.where(longer, 1.0, -1.0)  # chosen is the longer one
        nothing = np.full(400, np.nan)
        pairs = Pairs(toward * sign, np.arange(400), np.arange(400) // 2, nothing, nothing)
        rows = {row["statistic"]: row for row in _rows(pairs, np.abs(words) * sign, False, STATS)}
        covered += rows[EXCESS]["low"] <= 0 <= rows[EXCESS]["high"]
        assert rows[EXCESS]["n_pairs"] + rows[EXCESS]["n_equal"] == rows[CORRELATION]["n_pairs"] == 400
        assert rows[EXCESS]["n_equal"] == (words == 0).sum()
        choices.append(rows[LONGER]["estimate"])
        labels.append(rows[EXPECTED]["estimate"] - rows[EXCESS]["estimate"])
    assert 0.9 < covered / 200 < 0.99
    assert np.mean(choices) > np.mean(labels) + 0.1  # the yardstick of choices would call it biased


def test_without_the_rule_there_is_no_table_and_a_missing_pair_is_an_error(scores, stats):
    assert length_bias(scored_models(scores[scores["scheme"] == "more"]), stats, ALIGN).empty
    gone = scores["scheme"].eq("length") & scores["pair_id"].eq("helpful-test-3")
    with pytest.raises(ValueError, match="did not score every test pair of helpful"):
        length_bias(scored_models(scores[~gone]), stats, ALIGN)
