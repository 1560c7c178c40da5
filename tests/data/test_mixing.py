from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.data import mixing

IDS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=30, unique=True)
SEEDS = st.integers(0, 2**32)


@given(ids=IDS, size=st.integers(0, 120), seed=SEEDS)
def test_resample_gives_exactly_n_of_its_own_pairs_evenly(ids, size, seed):
    mixed = mixing.resample(ids, size, np.random.default_rng(seed))
    assert list(mixed["position"]) == list(range(size))
    counts = Counter(mixed["pair_id"])
    assert set(counts) <= set(ids)
    assert {counts[pair] for pair in ids} <= {size // len(ids), -(-size // len(ids))}


@given(ids=IDS, size=st.integers(1, 120), seed=SEEDS)
def test_whole_passes_come_first(ids, size, seed):
    mixed = mixing.resample(ids, size, np.random.default_rng(seed))
    for number, rows in mixed.groupby("pass_number"):
        assert rows["pair_id"].is_unique
        assert len(rows) == len(ids) or number == mixed["pass_number"].max()
    assert mixed["pass_number"].is_monotonic_increasing


@given(ids=IDS, size=st.integers(0, 60), seed=SEEDS)
def test_same_seed_same_rows(ids, size, seed):
    first, again = (mixing.resample(ids, size, np.random.default_rng(seed)) for _ in range(2))
    assert first.equals(again)


@given(ids=IDS, seed=SEEDS, data=st.data())
def test_smaller_unique_sets_begin_larger_ones(ids, seed, data):
    small, large = sorted(data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40))))
    chosen = [mixing.choose_unique(ids, most, np.random.default_rng(seed)) for most in (small, large, None)]
    assert chosen[1][: len(chosen[0])] == chosen[0]
    assert chosen[2][: len(chosen[1])] == chosen[1]
    assert sorted(chosen[2]) == sorted(ids)
    assert len(chosen[0]) == min(small, len(ids))


def test_pinned_order():
    mixed = mixing.resample(["a", "b", "c"], 7, np.random.default_rng(0))
    assert list(mixed["pass_number"]) == [0, 0, 0, 1, 1, 1, 2]
    assert "".join(mixed["pair_id"]) == "cabcbac"


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="from 0 pairs"):
        mixing.resample([], 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="there twice"):
        mixing.choose_unique(["a", "a"], None, np.random.default_rng(0))
