from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from more_repro import tables
from more_repro.data import diversity, ingest, intervals, linear, words
from more_repro.data.frames import pairs_frame
from more_repro.data.truth import true_agreement
from more_repro.params import load_params
from more_repro.paths import Paths
from more_repro.records import Message, PreferencePair
from more_repro.world import grammar, oracle

ROOT = Path(__file__).parents[2]


def frame_of(*texts, source="s"):
    """One pair for each (prompt, chosen, rejected)."""
    return pairs_frame(PreferencePair(source, (Message("user", p),), c, r) for p, c, r in texts)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    params = load_params(ROOT / "params" / "tiny.yaml")
    paths = Paths("tiny", tmp_path_factory.mktemp("root"))
    ingest.ingest(params, paths)
    return params, paths, diversity.measure_all(params, paths)


SHARES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=50).map(np.array)


@given(values=SHARES)
def test_share_intervals_hold_the_share_and_stay_in_range(values):
    share, low, high = intervals.clustered_share(values, np.arange(len(values)) // 2, 0.95)
    assert 0 <= low <= share == values.mean() <= high <= 1


@given(values=SHARES, copies=st.integers(1, 5))
def test_copies_of_a_prompts_pairs_carry_no_information(values, copies):
    """A clustered interval of pairs repeated under their own prompt is the interval of the pairs."""
    once = intervals.clustered_mean(values, np.arange(len(values)), 0.9)
    repeated = intervals.clustered_mean(np.repeat(values, copies), np.repeat(np.arange(len(values)), copies), 0.9)
    assert repeated == pytest.approx(once)


def test_without_clusters_the_share_interval_is_wilsons():
    values = np.array([1.0] * 30 + [0.0] * 10)
    share, low, high = intervals.clustered_share(values, np.arange(40), 0.95)
    # Wilson for 30 of 40 is (.5981, .8581); n/(n-1) in the variance makes ours one pair wider.
    assert (share, low, high) == pytest.approx((0.75, 0.5981, 0.8581), abs=0.003)


def test_intervals_of_too_few_clusters_are_not_defined():
    assert np.isnan(intervals.clustered_mean(np.array([]), np.array([]), 0.9).estimate)
    assert np.isnan(intervals.clustered_mean(np.array([1.0, 2.0]), np.array([0, 0]), 0.9).low)


@pytest.fixture(scope="module")
def bradley_terry():
    rng = np.random.default_rng(0)
    features = csr_matrix(rng.normal(size=(1500, 4)))
    truth = np.array([1.0, -0.5, 0.0, 0.25])
    wins = rng.random(1500) < 1 / (1 + np.exp(-features @ truth))
    return csr_matrix(features.multiply(np.where(wins, 1.0, -1.0)[:, None])), truth


def test_the_linear_model_finds_the_weights_that_made_the_pairs(bradley_terry):
    features, truth = bradley_terry
    model = linear.fit(features, np.arange(1500), 200, np.random.default_rng(1))
    spread = model.draws.std(axis=0)
    assert np.all(np.abs(model.weights - truth) < 4 * spread)
    assert np.all((spread > 0.03) & (spread < 0.15))


def test_which_side_a_pair_is_turned_to_does_not_matter(bradley_terry):
    features, _ = bradley_terry
    assert linear.fit_weights(features[1:]) == pytest.approx(linear.fit_weights(features[1:][::-1]), abs=1e-3)


def test_one_newton_step_spreads_as_refits_do(bradley_terry):
    features, _ = bradley_terry
    prompts = np.arange(1500) // 3
    model = linear.fit(features, prompts, 300, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    refits = []
    for _ in range(60):
        drawn = rng.integers(500, size=500)
        refits.append(linear.fit_weights(features[(drawn[:, None] * 3 + np.arange(3)).ravel()]))
    assert model.draws.std(axis=0) == pytest.approx(np.std(refits, axis=0), rel=0.35)
    assert model.draws.mean(axis=0) == pytest.approx(model.weights, abs=0.02)


@given(st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 2.0])] * 2), min_size=1))
def test_agreement_is_symmetric_and_complete_with_oneself(margins):
    first, second = np.array(margins).T
    assert np.array_equal(linear.same_side(first, second), linear.same_side(second, first))
    assert linear.same_side(first, first).all()
    assert linear.same_side(first, -first)[first != 0].sum() == 0


def test_features_of_a_swapped_pair_are_negated():
    rows = [("p", "it has paws well well", "it has flour"), ("q", "a b", "b a a")]
    swapped = [(p, r, c) for p, c, r in rows]
    vocabulary = ["a", "b", "flour", "has", "it", "paws", "well"]
    first, second = (words.differences(words.count_words("s", frame_of(*each), vocabulary)) for each in (rows, swapped))
    assert np.allclose(first.toarray(), -second.toarray())
    assert first.toarray()[0] == pytest.approx([0, 0, -np.log(2), 0, 0, np.log(2), np.log(3), np.log(6) - np.log(4)])


def test_log_odds_point_to_the_words_of_chosen_responses():
    rows = [(f"p{n}", "good same", "bad same") for n in range(30)]
    table = words.word_log_odds({"s": words.count_words("s", frame_of(*rows))}).set_index("word")
    assert set(table.index) == {"good", "bad", "same"}
    assert table.loc["good", "log_odds"] == pytest.approx(-table.loc["bad", "log_odds"])
    assert table.loc["good", "z"] > 0 > table.loc["bad", "z"]
    assert table.loc["same", "z"] == 0
    assert tuple(table.loc["good", ["n_chosen", "n_rejected"]]) == (30, 0)
    # counts 30 + 250 and 0 + 250 of 60 + 1000 words, prior 1000 x 30 / 120
    expected = np.log(280 / 780) - np.log(250 / 810)
    assert table.loc["good", "log_odds"] == pytest.approx(expected)


def test_statistics_of_a_pair_counted_by_hand():
    pairs = frame_of(("one two", "a b c", "d"), ("one two", "a", "b"), ("three", "a", "b c"))
    table = diversity.source_statistics({"s": words.count_words("s", pairs)}, 0.95).set_index("statistic")["estimate"]
    assert dict(table) == pytest.approx(
        {
            "mean_prompt_words": 5 / 3, "mean_chosen_words": 5 / 3, "mean_rejected_words": 4 / 3, "mean_turns": 1,
            "longer_wins": 0.5, "distinct_prompts": 2, "distinct_words": 4,
        }
    )  # fmt: skip


def test_every_table_is_written_and_complete(measured):
    params, paths, result = measured
    k = len(params.sources)
    assert set(result) == {"source_statistics", "transfer", "source_similarity", "word_log_odds"}
    for name, table in result.items():
        assert tables.read(paths.table("diversity_statistics", name), name).equals(table)
    assert len(result["transfer"]) == k * k
    assert set(result["transfer"]["n"]) == {params.data.test_pairs}
    counts = result["source_similarity"].groupby("measure").size()
    squares = ("direction_cosine", "agreement", "vocabulary_jaccard", "prompt_overlap", "true_agreement")
    assert dict(counts) == dict.fromkeys(squares, k * k) | {"split_half_cosine": k}
    assert set(result["word_log_odds"].groupby("source").size()) == {15}


def test_a_source_is_like_itself(measured):
    similar = measured[2]["source_similarity"].query("source_a == source_b and measure != 'split_half_cosine'")
    assert np.allclose(similar["estimate"], 1.0)


def test_intervals_hold_their_estimates(measured):
    for name in ("source_statistics", "transfer", "source_similarity"):
        table = measured[2][name].dropna()
        assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()


def test_measuring_twice_gives_the_same_numbers(measured):
    params, paths, result = measured
    again = diversity.measure_all(params, paths)
    assert all(again[name].equals(table) for name, table in result.items())


def test_without_drift_all_sources_agree_and_with_drift_they_do_not():
    rng = np.random.default_rng(0)
    pairs = {name: pairs_frame(grammar.make_pairs(name, 60, "test", 1.0, rng)) for name in oracle.SOURCES}
    known_as = {name: name for name in oracle.SOURCES}
    assert (true_agreement(pairs, known_as, 0.0, 0.95)["estimate"] == 1.0).all()
    drifted = true_agreement(pairs, known_as, 1.0, 0.95).query("source_a != source_b")
    assert drifted["estimate"].between(0.3, 0.99).all()


def test_studies_of_other_data_have_no_truth(measured, tmp_path):
    params, paths, _ = measured
    changed = {name: source.model_copy(update={"reader": "trl"}) for name, source in params.sources.items()}
    other = diversity.measure_all(params.model_copy(update={"sources": changed}), Paths("tiny", paths.root))
    assert "true_agreement" not in set(other["source_similarity"]["measure"])
    assert isinstance(other["transfer"], pd.DataFrame)
