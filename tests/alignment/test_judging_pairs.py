"""Judges that are shown two responses: who meets whom, two orders, what the verdicts add up to."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_responses import STATS, table_of

from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judges.questions import Question
from more_repro.alignment.judging.judge_statistics import judge_statistics
from more_repro.alignment.judging.match_ups import comparisons
from more_repro.alignment.judging.pairwise import ask_twice, pair_points, pair_verdicts, swap
from more_repro.alignment.judging.win_rates import scheme_duels, win_rates
from more_repro.records import Message
from more_repro.schemes import PAPER

PROMPT = (Message("user", "hello"),)
REFERENCE = PAPER.reference


def by_length(question):
    difference = len(question.first) - len(question.second)
    return "tie" if difference == 0 else "A" if difference > 0 else "B"


def asking(rule, log=None):
    def ask(questions):
        assert len(set(questions)) == len(questions)
        if log is not None:
            log.extend(questions)
        return Answers({one: rule(one) for one in questions}, {})

    return ask


def statistics_of(table, rule, criteria=None):
    met = comparisons(table, REFERENCE)
    verdicts, answers = pair_verdicts(met, criteria or {}, asking(rule))
    found = judge_statistics(met, verdicts, STATS, answers=answers, tie_width=None)
    return found.set_index(["source", "statistic"])


def test_a_judge_that_always_prefers_the_first_place_gives_a_tie():
    assert ask_twice(lambda prompt, first, second: "win", PROMPT, "a", "b") == ("tie", "win", "lose")


@pytest.mark.parametrize("better", ["longer", "shorter"])
def test_asking_twice_follows_a_judge_that_agrees_with_itself(better):
    def judge(prompt, first, second):
        longer = len(first) > len(second)
        return "win" if longer == (better == "longer") else "lose"

    there = ask_twice(judge, PROMPT, "long one", "short").verdict
    assert there == ("win" if better == "longer" else "lose")
    assert ask_twice(judge, PROMPT, "short", "long one").verdict == swap(there)


@given(st.lists(st.sampled_from(["win", "lose", "tie", "invalid"]), min_size=2, max_size=2))
def test_swapping_the_responses_swaps_the_verdict_whatever_a_judge_says(said):
    replies = {("a", "b"): said[0], ("b", "a"): said[1]}

    def judge(prompt, first, second):
        return replies[first, second]

    there, back = (ask_twice(judge, PROMPT, *texts).verdict for texts in (("a", "b"), ("b", "a")))
    assert back == swap(there)
    assert (there == "invalid") == ("invalid" in said)


def test_questions_are_asked_once_and_the_same_text_never():
    table = table_of({("more", 0): ["aaa", "b"], ("more", 1): ["aaa", "cc"], "sft": ["a", "b"], "untuned": ["a", "b"]})
    log = []
    met = comparisons(table, REFERENCE)
    verdicts, _ = pair_verdicts(met, {}, asking(by_length, log))
    assert {(one.first, one.second) for one in log} == {("aaa", "a"), ("a", "aaa"), ("cc", "b"), ("b", "cc")}
    assert len(log) == 4
    mine = verdicts[verdicts["policy"] == "more0"]
    assert mine["verdict"].tolist() == ["win", "tie", "win", "tie"]
    assert mine["first"].tolist() == ["win", "", "win", ""]
    assert verdicts["score"].isna().all()


def test_each_source_is_judged_by_its_own_criterion():
    table = table_of({"sft": ["a", "b"], "untuned": ["c", "d"]}, lambda n: ["harmless", "other"][n])
    log = []
    pair_verdicts(comparisons(table, REFERENCE), {"harmless": "harmless"}, asking(by_length, log))
    assert {(one.prompt[0].content, one.criterion) for one in log} == {
        ("question 0", "harmless"), ("question 1", "helpful"),
    }  # fmt: skip


def test_most_prompts_are_the_first_of_each_source_in_turn():
    sources = ["helpful"] * 5 + ["harmless"] * 2
    texts = [str(number) for number in range(7)]
    table = table_of({"sft": texts, "untuned": texts}, lambda number: sources[number])
    assert comparisons(table, REFERENCE, 4).prompts["prompt_id"].tolist() == ["p0", "p1", "p5", "p6"]
    assert comparisons(table, REFERENCE, 3).prompts["source"].tolist() == ["helpful", "helpful", "harmless"]
    assert len(comparisons(table, REFERENCE, 99).prompts) == len(comparisons(table, REFERENCE).prompts) == 7


def test_schemes_meet_multitask_of_their_own_seed_only():
    names = [("multitask", 0), ("more", 0), ("more", 1), "sft", "untuned"]
    rows = comparisons(table_of({name: ["a"] for name in names}), REFERENCE).rows
    assert len(rows) == 3 * 2 + 2 + 1
    duel = rows[~rows["opponent"].isin(["sft", "untuned"])]
    assert duel[["policy", "opponent"]].to_numpy().tolist() == [["more0", "multitask0"]]


def test_win_rates_duels_and_points_come_from_the_verdicts_of_pairs():
    texts = {("multitask", 0): ["aa", "aa", "aa"], ("more", 0): ["aaa", "a", "bb"]}
    table = table_of({**texts, "sft": ["b"] * 3, "untuned": ["aa"] * 3})

    def rule(question):  # reads no verdict on the last prompt between more and multitask
        return None if {question.first, question.second} == {"bb", "aa"} else by_length(question)

    met = comparisons(table, REFERENCE)
    verdicts, _ = pair_verdicts(met, {}, asking(rule))
    rates = win_rates(verdicts, STATS).query("source == 'all'").set_index(["policy", "opponent"])
    assert set(rates.index.get_level_values("opponent")) == {"sft", "untuned"}
    assert rates.loc[("more0", "sft"), ["win", "tie", "lose"]].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert rates.loc[("more0", "untuned"), ["n_prompts", "n_invalid"]].tolist() == [2, 1]
    duel = scheme_duels(verdicts, STATS, REFERENCE).set_index("source").loc["all"]
    assert duel[["win", "tie", "lose", "n_prompts"]].tolist() == [0.5, 0, 0.5, 2]
    points = pair_points(met, verdicts)
    place = {name: number for number, name in enumerate(met.policies["policy"])}
    more, multitask, untuned = place["more0"], place["multitask0"], place["untuned"]
    assert points[:, more, multitask].tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)
    assert points[:, multitask, more].tolist() == pytest.approx([0, 1, np.nan], nan_ok=True)
    assert points[:, multitask, untuned].tolist() == [0.5, 0.5, 0.5], "the same text"
    assert np.isnan(points[:, more, more]).all()


def test_every_meeting_has_points_and_no_other():
    names = [("multitask", 0), ("more", 0), ("more", 1), "sft", "untuned"]
    met = comparisons(
        table_of({name: [f"{number}{n}" for n in range(4)] for number, name in enumerate(names)}), REFERENCE
    )
    verdicts, _ = pair_verdicts(met, {}, asking(by_length))
    played = ~np.isnan(pair_points(met, verdicts))
    assert (played == played.transpose(0, 2, 1)).all()
    n_meetings = len(verdicts[["policy", "opponent"]].apply(frozenset, axis=1).unique())
    assert (played.sum(axis=(1, 2)) == 2 * n_meetings).all()


def numbered(n_prompts):
    return table_of({"sft": [f"s{n}" for n in range(n_prompts)], "untuned": [f"u {n}" for n in range(n_prompts)]})


def test_position_bias_and_agreement_of_a_judge_that_only_sees_places():
    found = statistics_of(numbered(20), lambda question: "A")
    assert found.loc[("all", "first_place"), ["estimate", "low", "high", "n"]].tolist() == [1.0, 1.0, 1.0, 80]
    assert found.loc[("all", "agreement"), "estimate"] == 0.0
    assert found.loc[("all", "tie_disagreement"), "estimate"] == 1.0
    assert ("all", "longer") not in found.index, "nothing was decided"
    assert set(found.loc["all"].index) >= {"questions", "replies", "calls", "cached_replies", "failed_calls"}
    assert found.loc[("all", "questions"), "estimate"] == 40


def test_position_bias_of_a_judge_that_sees_texts_alone_is_none():
    found = statistics_of(numbered(20), by_length)
    assert found.loc[("all", "first_place"), "estimate"] == 0.5
    assert found.loc[("all", "agreement"), "estimate"] == 1.0
    assert found.loc[("all", "longer"), "estimate"] == 1.0


def test_the_interval_of_position_bias_covers_its_truth():
    """Answers that lean to the first place with probability .7, by a fixed draw for each question."""
    draws = {}
    rng = np.random.default_rng(0)

    def rule(question):
        return draws.setdefault(question, "A" if rng.random() < 0.7 else "B")

    row = statistics_of(numbered(400), rule).loc[("all", "first_place")]
    assert row["low"] < 0.7 < row["high"]
    # Every answer stands in two mirrored verdicts: 800 answers, not 1,600, bear on the width.
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 800), rel=0.12)


def test_shares_of_ties_and_invalid_verdicts_add_up():
    table = table_of({"sft": ["a", "b", "cc", "d"], "untuned": ["a", "c", "d", "e"]})
    answers = {"b": "tie", "c": "tie", "cc": "A", "d": "A"}

    def rule(question):
        return None if "e" in (question.first, question.second) else answers[question.first]

    found = statistics_of(table, rule)["estimate"]["all"]
    assert found["invalid"] == 0.25
    parts = found[["tie_identical", "tie_judged", "tie_disagreement"]]
    assert parts.tolist() == pytest.approx([1 / 3] * 3)
    assert found["tie"] == pytest.approx(parts.sum())


def test_responses_that_do_not_fit_are_refused():
    table = table_of({("more", 0): ["a", "b"], "sft": ["a", "b"], "untuned": ["a", "b"]})
    with pytest.raises(ValueError, match="no responses of the opponent 'sft'"):
        comparisons(table[table["policy"] != "sft"], REFERENCE)
    with pytest.raises(ValueError, match="more0: 1 responses to 2 prompts"):
        comparisons(table.iloc[1:], REFERENCE)
    with pytest.raises(ValueError, match="more0: 3 responses to 2 prompts"):
        comparisons(pd.concat([table, table.iloc[:1]], ignore_index=True), REFERENCE)


def test_a_judge_of_pairs_is_asked_about_the_whole_dialogue():
    prompt = (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes?"), Message("user", "go"))
    body = Question("helpful", prompt, "x", "y").messages()[1]["content"]
    assert [f"message {n} by {one.role}" in body for n, one in enumerate(prompt, 1)] == [True] * 4
