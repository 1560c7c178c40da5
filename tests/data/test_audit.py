import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from more_repro.data import audit
from more_repro.data.rows import Rows, question

SMALL_TEXT = st.sampled_from(["", " ", "[removed]", "a", "b", "c"])
ADDS = st.lists(st.tuples(st.sampled_from(["p", "q", "r", ""]), SMALL_TEXT, SMALL_TEXT), max_size=40)


def rows_of(adds):
    rows = Rows("s")
    for prompt, chosen, rejected in adds:
        rows.add(question(prompt), chosen, rejected)
    return rows


@given(adds=ADDS, cap=st.none() | st.integers(0, 10), most=st.integers(0, 10), seed=st.integers(0, 2**64))
def test_kept_and_dropped_sum_to_what_was_read(adds, cap, most, seed):
    rows = rows_of(adds)
    assert rows.n_read == len(adds)
    steps = audit.drop_prompts(audit.drop_repeats(rows), {question("r")}, "leaked")
    rest, part = audit.split_off(steps, most, seed, "validation")
    left = audit.drop_over_cap(rest, cap, np.random.default_rng(seed))
    assert left.n_read == len(adds)
    assert len(part.pairs) == left.dropped["to_validation"] <= most
    assert not {pair.prompt for pair in part.pairs} & {pair.prompt for pair in left.pairs}
    assert cap is None or len(left.pairs) <= cap
    table = audit.audit_table([("train", left), ("validation", part)])
    counts = table[table["split"] == "train"].set_index("reason")["n_pairs"]
    assert counts["read"] == counts.drop("read").sum() == len(adds)
    assert rows.n_read == len(adds), "the input is left as it was"


@given(adds=ADDS)
def test_after_the_audit_no_comparison_stands_twice(adds):
    rows = rows_of(adds)
    left = audit.drop_repeats(rows)
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


def test_sources_that_share_prompts_give_up_the_same_ones():
    first = rows_of([(f"p{n}", "a", "b") for n in range(50)])
    second = rows_of([(f"p{n}", "c", "b") for n in reversed(range(50))])
    parts = [audit.split_off(rows, 10, 3, "validation")[1] for rows in (first, second)]
    assert {pair.prompt for pair in parts[0].pairs} == {pair.prompt for pair in parts[1].pairs}
    assert len(parts[0].pairs) == 10
    other = audit.split_off(first, 10, 4, "validation")[1]
    assert {pair.prompt for pair in other.pairs} != {pair.prompt for pair in parts[0].pairs}


def test_whole_prompts_are_moved():
    rows = rows_of([(f"p{n // 4}", f"a{n}", "b") for n in range(40)])
    rest, part = audit.split_off(rows, 10, 1, "validation")
    assert len(part.pairs) == 8
    assert len(rest.pairs) == 32
