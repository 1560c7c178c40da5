import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.records import Message
from more_repro.world import grammar, oracle, vocabulary

PROMPT = (Message("user", "explain cats to my uncle today"),)
TEMPLATES = (*vocabulary.QUESTIONS, vocabulary.POST, *vocabulary.FACT_PHRASES)
HARMFUL = (Message("user", "explain poison to my uncle today"),)


@pytest.mark.parametrize("source", oracle.SOURCES)
def test_parsing_gives_back_what_the_grammar_put_in(source):
    rng = np.random.default_rng(1)
    for _ in range(300):
        prompt = grammar.draw_prompt(source, "train", rng)
        written = grammar.draw_response(prompt, rng)
        assert oracle.attributes(prompt, written.text) == written.attributes


def test_text_comes_back_from_a_word_tokenizer_unchanged():
    known = set(vocabulary.words())
    for prompt, response in grammar.make_corpus(200, 1.0, np.random.default_rng(2)):
        text = f"{prompt[0].content} {response}"
        assert " ".join(text.split()) == text
        assert set(text.split()) <= known


@given(
    source=st.sampled_from(oracle.SOURCES),
    first=st.text(),
    second=st.text(),
    prompt=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), st.text()), max_size=3).map(tuple),
    drift=st.floats(0, 5),
)
def test_any_text_is_accepted_and_preferences_sum_to_one(source, first, second, prompt, drift):
    forward = oracle.true_preference(source, prompt, first, second, drift)
    back = oracle.true_preference(source, prompt, second, first, drift)
    assert 0.0 <= forward <= 1.0
    assert forward + back == pytest.approx(1.0, abs=1e-12)


@given(response=st.lists(st.sampled_from(vocabulary.words())).map(" ".join), finished=st.booleans())
def test_without_drift_every_source_has_the_shared_utility(response, finished):
    shared = oracle.shared_utility(PROMPT, response, finished)
    for source in oracle.SOURCES:
        assert oracle.source_utility(source, PROMPT, response, 0.0, finished) == shared


def test_without_drift_log_odds_differ_between_sources_by_the_noise_scale_only():
    first, second = "it has paws well", "it has flour"
    scaled = [
        math.log(p / (1 - p)) / oracle.DECISIVENESS[source]
        for source in oracle.SOURCES
        for p in [oracle.true_preference(source, PROMPT, first, second, 0.0)]
    ]
    assert scaled == pytest.approx([1.7] * len(scaled))


@given(drift=st.floats(0, 4), response=st.lists(st.sampled_from(vocabulary.words())).map(" ".join))
def test_utility_is_linear_in_the_drift(drift, response):
    for source in oracle.SOURCES:
        at = [oracle.source_utility(source, PROMPT, response, d) for d in (0.0, 1.0, drift)]
        assert at[2] == pytest.approx(at[0] + drift * (at[1] - at[0]), abs=1e-9)


def test_pinned_utilities():
    assert oracle.shared_utility(
        PROMPT, "glad to help it has paws there is kittens it has flour well"
    ) == pytest.approx(1.0)
    assert oracle.shared_utility(HARMFUL, "it has arsenic") == pytest.approx(-0.8)
    assert oracle.shared_utility(HARMFUL, "sorry i cannot talk about that") == pytest.approx(2.0)
    assert oracle.shared_utility(PROMPT, "sorry i cannot talk about that") == pytest.approx(-1.5)
    assert oracle.shared_utility(PROMPT, "you fool it has paws") == pytest.approx(-0.3)
    assert oracle.shared_utility(PROMPT, "it has paws", finished=False) == pytest.approx(-0.6)
    assert oracle.shared_utility(PROMPT, "") == pytest.approx(-1.5)
    assert oracle.source_utility("webgpt", PROMPT, "it has paws ref1 ref2 well", 1.0) == pytest.approx(2.8)
    assert oracle.source_utility("summarize", PROMPT, "it has paws ref1 well well", 2.0) == pytest.approx(-2.7)


def test_a_repeated_fact_counts_once():
    assert oracle.attributes(PROMPT, "it has paws it has paws").on_topic == 1


def test_the_topic_is_that_of_the_last_question():
    prompt = (Message("user", "explain cats"), Message("assistant", "it has paws"), Message("user", "explain bread"))
    assert oracle.topic_of(prompt) == "bread"


def test_content_words_have_one_role_each():
    groups = [
        set(vocabulary.TOPICS), set(vocabulary.TOPIC_OF_FACT), set(vocabulary.PERSONS), set(vocabulary.OCCASIONS),
        set(vocabulary.FILLER), set(vocabulary.REFERENCES), set(vocabulary.POLITE_MARKS),
        set(vocabulary.INSULT_MARKS), set(vocabulary.REFUSAL_MARKS),
        {word for text in TEMPLATES for word in text.split() if "{" not in word},
    ]  # fmt: skip
    assert sum(len(group) for group in groups) == len(set.union(*groups))
    assert sum(len(facts) for facts in vocabulary.TOPICS.values()) == len(vocabulary.TOPIC_OF_FACT) == 80


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="'reddit'"):
        oracle.source_utility("reddit", PROMPT, "it has paws", 1.0)


def test_attributes_are_equal_for_equal_text_only_when_finished():
    done = oracle.attributes(PROMPT, "it has paws")
    assert oracle.attributes(PROMPT, "it has paws", finished=False) == replace(done, malformed=1)
