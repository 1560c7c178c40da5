import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.data.ingest import near_duplicates as near
from more_repro.data.ingest.shingles import RUN_WORDS
from more_repro.records import Message, prompt_from_json, prompt_json


def series(prompts):
    """Prompts as JSON: a text is one user message, a list the turns of a dialogue."""
    turns = [prompt if isinstance(prompt, list) else [prompt] for prompt in prompts]
    roles = ("user", "assistant")
    return pd.Series(
        [prompt_json(tuple(Message(roles[n % 2], text) for n, text in enumerate(prompt))) for prompt in turns],
        dtype="str",
    )


def runs_of(prompt):
    """The definition, word for word: sets of runs of eight words, or the one run of a short prompt."""
    words = re.findall(r"\w+", "\n".join(message.content for message in prompt_from_json(prompt)).lower())
    if len(words) < RUN_WORDS:
        return {(*words, None)} if words else set()
    return {tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1)}


def shares(test, train):
    """The largest share of each test prompt's runs in one training prompt, by comparing every two."""
    known = [runs_of(prompt) for prompt in train]
    tested = [runs_of(prompt) for prompt in test]
    return np.array(
        [max((len(one & other) / len(one) for other in known), default=0.0) if one else 0.0 for one in tested]
    )


TEXT = st.lists(st.sampled_from("abc"), max_size=14).map(" ".join)
PROMPTS = st.lists(TEXT, min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(test=PROMPTS, train=PROMPTS)
def test_it_finds_what_comparing_every_two_prompts_finds(test, train):
    tested, trained = series(test), series(train)
    found = near.find(tested, trained)
    expected = shares(tested, trained)
    is_near = expected >= near.LEAST_SHARE
    assert set(found.best) == set(np.flatnonzero(is_near))
    assert found.shared[is_near] == pytest.approx(expected[is_near])


def invented(n, rng, low=20, high=120):
    vocabulary = np.array([f"w{number}" for number in range(3000)])
    return [" ".join(vocabulary[rng.zipf(1.3, rng.integers(low, high)) % 3000]) for _ in range(n)]


def test_planted_copies_and_edits_are_all_found_and_nothing_else():
    rng = np.random.default_rng(0)
    test, train = invented(300, rng), invented(2000, rng)
    copied, edited, mentioned = range(0, 30), range(30, 60), range(60, 90)
    for number in copied:
        train[7 * number] = test[number].upper().replace(" ", ", ")
    for number in edited:  # a word in the middle: at least half of the runs of 40 words and more stay
        words = (test[number] + " " + " ".join(f"e{number}x{n}" for n in range(40))).split()
        test[number] = " ".join(words)
        words[len(words) // 2] = "changed"
        train[7 * number] = " ".join(["new", "start", *words])
    for number in mentioned:  # a fifth of the prompt is no near-duplicate
        words = test[number].split()
        train[7 * number] = " ".join([*train[7 * number].split(), *words[: len(words) // 5]])
    found = near.find(series(test), series(train))
    assert set(found.best) == {*copied, *edited}
    assert (found.shared[list(copied)] == 1.0).all()
    for number in edited:
        assert prompt_from_json(found.best[number])[0].content == train[7 * number]


def test_boilerplate_is_left_out_of_the_share():
    form = " ".join(f"b{n}" for n in range(30))
    rng = np.random.default_rng(1)
    train = [f"{form} {text}" for text in invented(near.COMMON_RUN + 200, rng, 10, 20)]
    other = f"{form} " + " ".join(f"n{n}" for n in range(10))
    found = near.find(series([train[5], other]), series(train))
    assert found.shared[0] == 1.0
    assert found.shared[1] == 0.0, "it shares the form alone"
    few = near.find(series([other]), series(train[: near.COMMON_RUN]))
    assert few.shared[0] >= near.LEAST_SHARE, "a form that fewer prompts have is no boilerplate"


@pytest.mark.parametrize(("n_words", "is_near"), [(11, True), (10, False)])
def test_half_of_the_runs_are_enough_and_fewer_are_not(n_words, is_near):
    words = [f"w{n}" for n in range(15)]  # eight runs, of which eleven words hold four
    found = near.find(series([" ".join(words)]), series([" ".join(["other", *words[:n_words]])]))
    assert bool(found.best) == is_near


def test_short_prompts_match_the_same_words_alone_and_empty_ones_nothing():
    test = series(["Tell me a joke!", "tell me a", "?!", "one two three four five six seven eight"])
    train = series(["tell me a joke", "tell me a joke about one", "?!", "one two three four five six seven eight nine"])
    assert list(near.find(test, train).shared) == [1.0, 0.0, 0.0, 1.0]


def table(tests, trains, confidence=0.95):
    tests, trains = ({name: series(prompts) for name, prompts in each.items()} for each in (tests, trains))
    every = pd.concat(tests.values(), ignore_index=True)
    return near.summarize(tests, {name: near.find(every, train) for name, train in trains.items()}, confidence)


def test_dialogues_that_go_on_are_counted_and_told_apart():
    first = "how do i bake a cake with three eggs and no milk"
    other = "which is the tallest tower in the whole of south america today"
    answer = "mix it all with flour and sugar and put it into the oven"
    made = table(
        {"a": [[first], [other], ["nothing like it stands anywhere else in all of these prompts"]]},
        {"a": [[first, answer, "thanks"]], "b": [f"{other} please"]},
    )
    rows = made["near_duplicates"].set_index("trained_on")
    assert dict(rows["n_near"]) == {"a": 1, "b": 1, "all": 2}
    assert dict(rows["n_same_dialogue"]) == {"a": 1, "b": 0, "all": 1}
    assert rows.loc["all", "estimate"] == pytest.approx(2 / 3)
    assert (rows["low"] <= rows["estimate"]).all()
    assert (rows["high"] > rows["estimate"]).all()
    shown = made["near_duplicate_examples"]
    assert list(shown["trained_on"]) == ["b", "a"], "what is no stage of one dialogue comes first"
    assert shown.loc[0, "training_prompt"] == f"{other} please"
    assert shown.loc[1, "same_dialogue"]


def test_each_source_has_its_own_rows():
    made = table({"a": ["one two three", "four five"], "b": ["six seven", "one two three"]}, {"a": ["one two three"]})
    rows = made["near_duplicates"].set_index(["tested_on", "trained_on"])
    assert dict(rows["n_near"]) == {("a", "a"): 1, ("a", "all"): 1, ("b", "a"): 1, ("b", "all"): 1}
    assert set(rows["n"]) == {2}
    assert len(made["near_duplicate_examples"]) == 2


def test_a_stage_without_training_sources_or_near_duplicates_has_empty_examples():
    made = table({"a": ["one two three"]}, {"a": ["four five"]})
    assert made["near_duplicate_examples"].empty
    assert list(made["near_duplicates"]["n_near"]) == [0, 0]
