import numpy as np
import pytest

from more_repro.evaluation.length import CORRELATION, LONGER, correlation, length_bias
from more_repro.evaluation.scored import scored_models

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


def test_without_the_rule_there_is_no_table_and_a_missing_pair_is_an_error(scores, stats):
    assert length_bias(scored_models(scores[scores["scheme"] == "more"]), stats, ALIGN).empty
    gone = scores["scheme"].eq("length") & scores["pair_id"].eq("helpful-test-3")
    with pytest.raises(ValueError, match="did not score every test pair of helpful"):
        length_bias(scored_models(scores[~gone]), stats, ALIGN)
