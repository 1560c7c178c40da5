import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.data.ingest import audit
from more_repro.data.ingest.audit import Part
from more_repro.data.sources.pair_collector import MOST_EXAMPLES, Rows, question
from more_repro.records import prompt_id

SMALL_TEXT = st.sampled_from(["", " ", "[removed]", "a", "b", "c"])
ADDS = st.lists(st.tuples(st.sampled_from(["p", "q", "r", ""]), SMALL_TEXT, SMALL_TEXT), max_size=40)


def rows_of(adds):
    rows = Rows("s")
    for prompt, chosen, rejected in adds:
        rows.add(question(prompt), chosen, rejected)
    return rows


def part_of(adds):
    return Part.of(rows_of(adds))


def prompts(part):
    return set(part.pairs["prompt_id"])


@settings(max_examples=40, deadline=None)
@given(adds=ADDS, cap=st.none() | st.integers(0, 10), most=st.integers(0, 10), seed=st.integers(0, 2**64))
def test_kept_and_dropped_sum_to_what_was_read(adds, cap, most, seed):
    rows = rows_of(adds)
    assert rows.n_read == len(adds)
    whole = Part.of(audit.drop_repeats(rows))
    rest, part = audit.split_off(audit.drop_prompts(whole, {prompt_id(question("r"))}, "leaked"), most, seed, "test")
    left = audit.drop_over_cap(rest, cap, np.random.default_rng(seed))
    assert left.n_read == len(adds)
    assert len(part.pairs) == left.dropped["to_test"] <= most
    assert not prompts(part) & prompts(left)
    assert cap is None or len(left.pairs) <= cap
    table = audit.audit_table([("train", left), ("test", part)])
    counts = table[table["split"] == "train"].set_index("reason")["n_pairs"]
    assert counts["read"] == counts.drop("read").sum() == len(adds)
    assert rows.n_read == whole.n_read == len(adds), "the input is left as it was"


@given(adds=ADDS)
def test_after_the_audit_no_comparison_stands_twice(adds):
    left = audit.drop_repeats(rows_of(adds))
    comparisons = [(pair.prompt, frozenset((pair.chosen, pair.rejected))) for pair in left.pairs]
    assert len(set(comparisons)) == len(comparisons)
    assert audit.drop_repeats(left).pairs == left.pairs


def test_contradictions_drop_every_copy_and_duplicates_keep_the_first():
    rows = rows_of(
        [("p", "a", "b"), ("p", "b", "a"), ("p", "a", "b"), ("q", "a", "b"), ("q", "a", "b"), ("r", "b", "a")]
    )
    left = audit.drop_repeats(rows)
    assert [(pair.prompt[0].content, pair.chosen) for pair in left.pairs] == [("q", "a"), ("r", "b")]
    assert left.dropped == {"contradictory": 3, "duplicate": 1}
    assert not rows.dropped


@settings(max_examples=30, deadline=None)
@given(adds=ADDS)
def test_a_part_keeps_the_pairs_and_their_ids_in_order(adds):
    rows = rows_of(adds)
    part = Part.of(rows)
    assert list(part.pairs["pair_id"]) == [pair.pair_id for pair in rows.pairs]
    assert list(part.pairs["prompt_id"]) == [pair.prompt_id for pair in rows.pairs]
    assert list(part.pairs["rejected"]) == [pair.rejected for pair in rows.pairs]


@settings(max_examples=30, deadline=None)
@given(adds=ADDS)
def test_every_reason_of_the_audit_has_examples_unless_pairs_only_moved(adds):
    part = Part.of(audit.drop_repeats(rows_of(adds)))
    part = audit.drop_prompts(part, {prompt_id(question("r"))}, "leaked")
    rest, _ = audit.split_off(part, 3, 1, "validation")
    table = audit.examples_table([("train", rest)], "own")
    shown = table["reason"].value_counts().to_dict()
    expected = {reason: min(n, MOST_EXAMPLES) for reason, n in rest.dropped.items() if reason != "to_validation"}
    assert shown == expected
    leaked = table[table["reason"] == "leaked"]
    assert set(leaked["prompt"]) <= {"r"}


def test_examples_are_cut():
    part = audit.drop_prompts(part_of([("p" * 5000, "a" * 5000, "b")]), {prompt_id(question("p" * 5000))}, "leaked")
    row = audit.examples_table([("train", part)], "own").iloc[0]
    assert max(len(row["prompt"]), len(row["chosen"])) <= 200
    assert row["rejected"] == "b"


def test_sources_that_share_prompts_give_up_the_same_ones():
    first = part_of([(f"p{n}", "a", "b") for n in range(50)])
    second = part_of([(f"p{n}", "c", "b") for n in reversed(range(50))])
    parts = [audit.split_off(part, 10, 3, "validation")[1] for part in (first, second)]
    assert prompts(parts[0]) == prompts(parts[1])
    assert len(parts[0].pairs) == 10
    other = audit.split_off(first, 10, 4, "validation")[1]
    assert prompts(other) != prompts(parts[0])


def test_whole_prompts_are_moved():
    part = part_of([(f"p{n // 4}", f"a{n}", "b") for n in range(40)])
    rest, moved = audit.split_off(part, 10, 1, "validation")
    assert len(moved.pairs) == 8
    assert len(rest.pairs) == 32


@pytest.mark.parametrize(
    ("folder", "where", "told"),
    [
        ("/home/me/own/", "/home/me/own/a.csv:2: field 'x': see /home/me/own/b.csv", "a.csv:2: field 'x': see b.csv"),
        ("/home/me//own", "/home/me/own/a.csv:2", "a.csv:2"),
        ("./own", "own/a.csv:2: found 'own/x'", "a.csv:2: found 'own/x'"),
        ("", "sub/a.csv:2: found 'x/y'", "sub/a.csv:2: found 'x/y'"),
        ("/", "/sub/a.csv:2: found 'x/y'", "sub/a.csv:2: found 'x/y'"),
    ],
)
def test_places_are_told_from_the_folder(folder, where, told):
    rows = Rows("mine")
    rows.drop("unreadable", where=where)
    assert audit.examples_table([("train", Part.of(rows))], folder)["place"].tolist() == [told]
