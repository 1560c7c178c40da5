"""The measures one by one, against oracles and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.spatial.distance import jensenshannon
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score

from more_repro.data.diversity import (
    bag_of_words,
    keyed_random,
    lengths,
    linear_bradley_terry,
    log_odds,
    overlap,
    preference_similarity,
    source_classifier,
    word_divergence,
)
from more_repro.data.diversity.linear_bradley_terry import LinearModel
from more_repro.data.ingest.pairs_table import pairs_frame
from more_repro.records import Message, PreferencePair


def frame_of(*texts, source="s"):
    """One pair for each (prompt, chosen, rejected)."""
    return pairs_frame(PreferencePair(source, (Message("user", p),), c, r) for p, c, r in texts)


def keys_of(n, name=""):
    return keyed_random.prompt_keys([f"{name}{number}" for number in range(n)])


def test_equal_prompts_make_equal_choices_wherever_they_stand():
    keys = keys_of(500)
    turned = keys[::-1]
    assert np.array_equal(keyed_random.halves(keys, 7, 3)[:, ::-1], keyed_random.halves(turned, 7, 3))
    assert np.array_equal(keyed_random.poisson_times(keys, 7, 4)[:, 3:9], keyed_random.poisson_times(keys[3:9], 7, 4))
    assert not np.array_equal(keyed_random.uniforms(keys, 7, "a", 1), keyed_random.uniforms(keys, 7, "b", 1))


def test_random_numbers_are_uniform_and_bootstrap_weights_poisson():
    found = keyed_random.uniforms(keys_of(2000), 1, "x", 10)
    assert 0 <= found.min() < 0.001 < 0.999 < found.max() < 1
    assert np.corrcoef(found)[np.triu_indices(10, 1)] == pytest.approx(0, abs=0.12)
    times = keyed_random.poisson_times(keys_of(2000), 1, 10)
    assert times.mean() == pytest.approx(1, abs=0.03)
    assert times.var() == pytest.approx(1, abs=0.06)


def test_words_are_counted_as_scikit_learn_counts_them():
    rows = [("p", "It’s a test, a Test", "don't _x 3.5"), ("q", "", "é É a")]
    rows[1] = ("q", "b-c", "é É a")
    found = bag_of_words.count_words("s", frame_of(*rows))
    vectorizer = CountVectorizer(token_pattern=bag_of_words.WORD, vocabulary=list(found.words))
    assert np.array_equal(
        found.counts.toarray(), vectorizer.transform([r[1] for r in rows] + [r[2] for r in rows]).toarray()
    )
    assert list(found.chosen_words) == [5, 1]


def test_turns_are_those_of_the_user():
    said = [("system", "be kind"), ("user", "hi"), ("assistant", "yes?"), ("user", "why?")]
    prompts = [tuple(Message(role, text) for role, text in said[:n]) for n in (2, 4)]
    frame = pairs_frame(PreferencePair("s", prompt, "a", "b") for prompt in prompts)
    assert list(bag_of_words.count_words("s", frame).turns) == [1, 2]


def test_a_sample_keeps_whole_prompts_and_their_counts():
    rows = [(f"p{n // 3}", f"a b{n} c{n}", f"d{n}") for n in range(60)]
    whole = bag_of_words.count_words("s", frame_of(*rows))
    part = bag_of_words.sample(whole, 31, 7)
    assert len(part) == 30
    assert set(np.bincount(part.prompts)) == {3}
    assert set(part.keys) <= set(whole.keys)
    assert part.counts.sum() == 30 * 4
    assert part.counts.getnnz(axis=0).min() == 1
    assert bag_of_words.sample(whole, 60, 7) is whole


def test_features_of_a_swapped_pair_are_negated():
    rows = [("p", "it has paws well well", "it has flour"), ("q", "a b", "b a a")]
    swapped = [(p, r, c) for p, c, r in rows]
    vocabulary = ["a", "b", "flour", "has", "it", "never", "paws", "well"]
    first, second = (
        bag_of_words.differences(
            bag_of_words.restrict(bag_of_words.count_words("s", frame_of(*each)), vocabulary)
        ).toarray()
        for each in (rows, swapped)
    )
    assert np.allclose(first, -second)
    expected = [0, 0, -np.log(2), 0, 0, 0, np.log(2), np.log(3), np.log(6) - np.log(4)]
    assert first[0] == pytest.approx(expected)


def test_statistics_of_a_pair_counted_by_hand():
    pairs = frame_of(("one two", "a b c", "d"), ("one two", "a", "b"), ("three", "a", "b c"))
    table = lengths.source_statistics(bag_of_words.count_words("s", pairs), 0.95).set_index("statistic")["estimate"]
    expected = {
        "mean_prompt_words": 5 / 3, "median_prompt_words": 2, "mean_chosen_words": 5 / 3, "q90_chosen_words": 3,
        "mean_rejected_words": 4 / 3, "mean_extra_words_of_chosen": 1 / 3, "mean_turns": 1, "multi_turn": 0,
        "longer_wins": 0.5, "distinct_prompts": 2, "distinct_words": 4,
    }  # fmt: skip
    assert dict(table[list(expected)]) == pytest.approx(expected)


def frequent_of(*rows, name="s", most=20_000):
    whole = bag_of_words.count_words(name, frame_of(*rows, source=name))
    return overlap.frequent_words(bag_of_words.sample(whole, most, 7), whole.keys, 7)


def lines_of(**sources):
    return {line[:3]: line[3:] for line in overlap.overlaps(sources, 0.95)}


def test_shared_prompts_are_counted_over_all_pairs_even_where_words_are_not():
    rows = [(f"p{n}", f"a{n} b", "c") for n in range(60)]
    a, b = frequent_of(*rows, name="a", most=20), frequent_of(*rows[:30], name="b", most=20)
    found = lines_of(a=a, b=b)
    assert found["a", "b", "prompt_overlap"][0] == 0.5
    assert found["b", "a", "prompt_overlap"][0] == 1
    assert found["a", "b", "prompt_overlap"][3] == 60


def test_pairs_that_two_sources_compare_are_found_with_their_conflict():
    a = [("p", "x", "y"), ("p", "x", "z"), ("q", "x", "y"), ("r", "u", "v"), ("s", "k", "l")]
    b = [("p", "y", "x"), ("q", "x", "y"), ("r", "v", "u"), ("t", "k", "l"), ("p", "z", "y")]
    compared = {
        name: overlap.comparisons(frame_of(*rows)) for name, rows in (("a", a), ("b", b), ("c", [("p", "x", "w")]))
    }
    found = {line[:3]: line[3:] for line in overlap.shared_comparisons(compared, 0.95)}
    assert (found["a", "b", "shared_pairs"][0], found["a", "b", "shared_pairs"][3]) == (0.6, 5)
    share, low, high, n = found["a", "b", "shared_opposed"]
    assert (share, n) == (pytest.approx(2 / 3), 3)
    assert low < share < high
    assert found["b", "a", "shared_opposed"] == pytest.approx(found["a", "b", "shared_opposed"])
    assert found["a", "c", "shared_pairs"][0] == 0
    assert np.isnan(found["a", "c", "shared_opposed"][0])
    assert found["a", "c", "shared_opposed"][3] == 0


def test_the_overlap_of_words_is_of_words_that_occur():
    """Each prompt has a word of its own, so two halves of one source share just the one that all have."""
    found = lines_of(s=frequent_of(*((f"p{n}", f"own{n}", "both") for n in range(40))))
    share, low, high, n = found["s", "s", "vocabulary_jaccard"]
    assert share == pytest.approx(1 / 41)
    assert low <= share <= high < 0.1
    assert 5 < n <= 20
    one = lines_of(s=frequent_of(*((f"p{n}", "the same", "same words") for n in range(40))))
    assert one["s", "s", "vocabulary_jaccard"][0] == 1
    assert one["s", "s", "vocabulary_jaccard"][3] == 3


def test_responses_without_words_have_no_overlap_of_words():
    found = lines_of(s=frequent_of(*((f"p{n}", "...", "!") for n in range(20))))
    assert np.isnan(found["s", "s", "vocabulary_jaccard"][:3]).all()
    assert found["s", "s", "vocabulary_jaccard"][3] == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_the_divergence_is_scipys(counts):
    first, second = np.array(counts, dtype=float).T
    if first.sum() and second.sum():
        expected = jensenshannon(first, second, base=2) ** 2
        assert word_divergence.jensen_shannon_bits(first, second) == pytest.approx(np.nan_to_num(expected), abs=1e-7)


def test_a_swap_of_every_prompt_leaves_the_divergence_as_it_is():
    rows = [("p", "a a b", "b c"), ("p", "a", "c c")]
    texts = bag_of_words.count_words("s", frame_of(*rows))
    found = word_divergence.jensen_shannon_bits(*texts.totals())
    # One prompt: both its pairs are swapped or none, and the divergence is symmetric.
    assert word_divergence.null_divergences(texts, 20, 7) == pytest.approx(float(found))


def test_log_odds_point_to_the_words_of_chosen_responses():
    rows = [(f"p{n}", "good same", "bad same") for n in range(30)]
    table = log_odds.word_log_odds(bag_of_words.count_words("s", frame_of(*rows)), 0.95).set_index("word")
    assert set(table.index) == {"good", "bad", "same"}
    assert table.loc["good", "log_odds"] == pytest.approx(-table.loc["bad", "log_odds"])
    # each prompt adds the same: z is the root of their number
    assert table.loc["good", "z"] == pytest.approx(30**0.5) == -table.loc["bad", "z"]
    assert table.loc["same", "z"] == 0
    assert tuple(table.loc["good", ["n_chosen", "n_rejected"]]) == (30, 0)
    # counts 30 + 250 and 0 + 250 of 60 + 1000 words, prior 1000 x 30 / 120
    assert table.loc["good", "log_odds"] == pytest.approx(np.log(280 / 780) - np.log(250 / 810))


def test_words_of_both_sides_are_kept_however_many_one_side_has():
    """Twenty words mark each rejected response and two chosen ones in ten: weaker, and still to be seen."""
    rejected = " ".join(f"bad{n}" for n in range(20))
    rows = [(f"p{n}", "same good fine" if n % 10 == 0 else "same", f"same {rejected}") for n in range(40)]
    table = log_odds.word_log_odds(bag_of_words.count_words("s", frame_of(*rows)), 0.95)
    right, left = table[table["z"] > 0], table[table["z"] <= 0]
    assert {"good", "fine"} <= set(right["word"])
    assert len(left) == 10
    assert left["word"].str.startswith("bad").all()
    assert table["z"].abs().is_monotonic_decreasing


def test_a_word_that_one_prompt_repeats_is_no_evidence():
    rows = [(f"p{n}", f"x{n} y", f"z{n} y") for n in range(30)] + [("loud", "shout " * 4, "y")]
    table = log_odds.word_log_odds(bag_of_words.count_words("s", frame_of(*rows)), 0.95).set_index("word")
    assert abs(table["z"].get("shout", 0.0)) <= 1.1


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=4, max_size=60))
def test_the_auc_is_scikit_learns(rows):
    side, scores = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], dtype=float)
    found = source_classifier.auc_interval(scores, side, np.zeros(len(rows), int), keys_of(len(rows)), 0.95)
    if side.all() or not side.any():
        assert np.isnan(found.estimate)
    else:
        assert found.estimate == pytest.approx(roc_auc_score(side, scores))
        assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_repeated_texts_of_one_prompt_do_not_narrow_the_interval_of_the_auc():
    rng = np.random.default_rng(0)
    scores, side = rng.normal(size=80), np.arange(80) < 40
    once = source_classifier.auc_interval(scores, side, np.zeros(80, int), keys_of(80), 0.95)
    twice = source_classifier.auc_interval(
        np.tile(scores, 2), np.tile(side, 2), np.zeros(160, int), np.tile(keys_of(80), 2), 0.95
    )
    assert twice.values() == pytest.approx(once.values())


@pytest.fixture(scope="module")
def bradley_terry():
    rng = np.random.default_rng(0)
    features = csr_matrix(rng.normal(size=(1500, 4)))
    truth = np.array([1.0, -0.5, 0.0, 0.25])
    wins = rng.random(1500) < 1 / (1 + np.exp(-features @ truth))
    return csr_matrix(features.multiply(np.where(wins, 1.0, -1.0)[:, None])), truth


def test_the_linear_model_finds_the_weights_that_made_the_pairs(bradley_terry):
    features, truth = bradley_terry
    model = linear_bradley_terry.fit(features, np.arange(1500), keys_of(1500), 1, 2, 200)
    spread = model.shifts.std(axis=0)
    assert np.all(np.abs(model.weights - truth) < 4 * spread)
    assert np.all((spread > 0.03) & (spread < 0.15))
    assert model.halves.mean(axis=(0, 1)) == pytest.approx(model.weights, abs=0.05)


def test_which_side_a_pair_is_turned_to_does_not_matter(bradley_terry):
    features, _ = bradley_terry
    assert linear_bradley_terry.fit_weights(features[1:]) == pytest.approx(
        linear_bradley_terry.fit_weights(features[1:][::-1]), abs=1e-3
    )


def test_where_a_fit_begins_does_not_matter(bradley_terry):
    features, truth = bradley_terry
    assert linear_bradley_terry.fit_weights(features, 3 * truth) == pytest.approx(
        linear_bradley_terry.fit_weights(features), abs=1e-3
    )


def test_a_half_with_its_copy_is_fitted_as_the_whole(bradley_terry):
    """The penalty of a half is that of the whole."""
    features, _ = bradley_terry
    half = features[:400]
    doubled = linear_bradley_terry.fit_weights(csr_matrix(np.vstack([half.toarray()] * 2)))
    assert linear_bradley_terry.fit_weights(half, share=0.5) == pytest.approx(doubled, abs=1e-3)


def test_one_newton_step_spreads_as_refits_do(bradley_terry):
    features, _ = bradley_terry
    model = linear_bradley_terry.fit(features, np.arange(1500) // 3, keys_of(500), 1, 1, 300)
    rng = np.random.default_rng(2)
    refits = []
    for _ in range(60):
        drawn = rng.integers(500, size=500)
        refits.append(linear_bradley_terry.fit_weights(features[(drawn[:, None] * 3 + np.arange(3)).ravel()]))
    assert model.shifts.std(axis=0) == pytest.approx(np.std(refits, axis=0), rel=0.35)
    assert model.shifts.mean(axis=0) == pytest.approx(np.zeros(4), abs=0.02)


@given(st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 2.0])] * 2), min_size=2))
def test_agreement_and_conflict_are_symmetric_and_complete_with_oneself(margins):
    first, second = np.array(margins).T
    prompts = np.arange(len(margins))
    assert preference_similarity.agreement(first, second, prompts, 0.9) == preference_similarity.agreement(
        second, first, prompts, 0.9
    )
    assert preference_similarity.agreement(first, first, prompts, 0.9).estimate == 1
    for sign, expected in ((1.0, 0.0), (-1.0, 1.0)):
        share, n = preference_similarity.conflict(first, sign * first, prompts, 0.9)
        assert (share.estimate == expected and share.low <= expected <= share.high) if n else np.isnan(share.estimate)


def test_conflict_counts_the_pairs_that_both_order_surely():
    first, second = np.array([3.0, -2.0, 0.1, 0.2]), np.array([-3.0, -2.0, 0.2, 0.1])
    share, n = preference_similarity.conflict(first, second, np.arange(4), 0.95)
    assert (share.estimate, n) == (0.5, 2)


def model_of(truth, rng, n=200):
    """The model whose weights are means of n prompts' noisy versions of the truth."""
    seen = truth + 0.4 * n**0.5 * rng.normal(size=(n, len(truth)))
    keys = rng.integers(0, 2**64, size=n, dtype=np.uint64)
    halves = np.array([[seen[first].mean(0), seen[~first].mean(0)] for first in keyed_random.halves(keys, 1, 4)])
    times = keyed_random.poisson_times(keys, 1, 200) - 1
    return LinearModel(seen.mean(0), halves, times @ (seen - seen.mean(0)) / n)


@pytest.mark.slow
def test_intervals_of_cosines_cover_the_truth_once_noise_is_taken_out():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 100))
    second = 0.5 * first + second
    truth, unit = float(linear_bradley_terry.cosine(first, second)), {name: csr_matrix(np.eye(100)) for name in "ab"}
    corrected, fitted = [], []
    for _ in range(150):
        models = {"a": model_of(first, rng), "b": model_of(second, rng)}
        lines = {line[:3]: line[3:6] for line in preference_similarity.directions(models, unit, {"a": 1, "b": 1}, 0.9)}
        _, low, high = lines["a", "b", "direction_cosine_corrected"]
        corrected.append(low <= truth <= high)
        fitted.append(lines["a", "b", "direction_cosine"][0])
    assert 0.83 <= np.mean(corrected) <= 0.97
    assert np.mean(fitted) < truth - 0.05


@pytest.mark.slow
def test_intervals_of_the_auc_cover_chance_where_sources_are_the_same():
    hits = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        texts = [" ".join(f"w{k}" for k in rng.zipf(1.5, 15) % 300) for _ in range(300)]
        rows = [(f"{seed} {number}", text, text) for number, text in enumerate(texts)]
        a, b = (source_classifier.draw_sample(n, frame_of(*rows[s], source=n), 150, 7) for n, s in
                (("a", slice(150)), ("b", slice(150, 300))))  # fmt: skip
        interval, n = source_classifier.auc_of_sources(a, b, "responses", 7, 0.9)
        assert n == 300
        hits.append(interval.low <= 0.5 <= interval.high)
    assert np.mean(hits) >= 0.8


@pytest.mark.slow
def test_p_of_the_divergence_is_uniform_where_there_is_no_preference():
    p = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        text = lambda rng=rng: " ".join(f"w{k}" for k in rng.zipf(1.4, 12) % 50)  # noqa: E731
        texts = bag_of_words.count_words("s", frame_of(*((f"{seed} {n // 2}", text(), text()) for n in range(60))))
        p.append(word_divergence.word_divergence(texts, 99, seed, 0.95)["p"].iloc[0])
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.08)
    assert np.mean(p) == pytest.approx(0.5, abs=0.09)
