import itertools

import pytest
import torch
from token_pairs import N_PAIRS, PREFIXES, every_kind, sequences_of, tokens

from more_repro.engine.batching.micro_batches import token_batches
from more_repro.engine.batching.shared_prefix import (
    ABSENT,
    MIN_PREFIX,
    alone,
    common_prefix_lengths,
    neighbour_groups,
    pair_groups,
)
from tiny_models import random_sequences


def as_lists(sequences):
    bounds = zip(sequences.starts.tolist(), sequences.lengths.tolist(), strict=True)
    return [sequences.flat[start : start + length].tolist() for start, length in bounds]


def common(a, b):
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))


def members_of(groups):
    return [[place for place in line if place != ABSENT] for line in groups.members.tolist()]


def test_common_prefixes_are_those_of_the_lists():
    sequences = every_kind()
    rows = torch.arange(N_PAIRS)
    assert common_prefix_lengths(sequences, rows, rows + N_PAIRS).tolist() == PREFIXES.tolist()


def test_common_prefixes_do_not_depend_on_chunks(monkeypatch):
    """Two symbols only, so that random sequences often begin alike."""
    drawn = random_sequences(200, longest=9)
    lists = [[token % 2 for token in line] for line in as_lists(drawn)]
    sequences = sequences_of(lists)
    left, right = torch.arange(100), torch.arange(100, 200)
    expected = [common(lists[a], lists[a + 100]) for a in range(100)]
    assert common_prefix_lengths(sequences, left, right).tolist() == expected
    monkeypatch.setattr("more_repro.engine.batching.shared_prefix._CHUNK", 7)
    assert common_prefix_lengths(sequences, left, right).tolist() == expected


def test_pairs_below_the_least_prefix_stay_two_rows():
    groups = pair_groups(torch.tensor([MIN_PREFIX, MIN_PREFIX - 1, 0, 40]))
    assert members_of(groups) == [[0, 4], [3, 7], [1], [2], [5], [6]]
    assert groups.prefix.tolist() == [MIN_PREFIX, 40, 0, 0, 0, 0]


def test_samples_of_a_prompt_stay_together_under_a_common_template():
    template = tokens(20, 0)
    prompts = [[*template, 5 + number, *tokens(60, 10 + number)] for number in range(3)]
    lists = [[*prompts[n % 3], 20 + n // 3, *tokens(4, 50 + n)] for n in range(12)]
    groups = neighbour_groups(sequences_of(lists), 16)
    assert sorted(sorted(line) for line in members_of(groups)) == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert groups.prefix.tolist() == [81, 81, 81]


@pytest.mark.parametrize("most", [2, 3, 16])
def test_groups_hold_every_sequence_once_and_share_what_they_say(most):
    lists = [[*tokens(n % 3 * 20, n % 4), n % 7, *tokens(n % 5, 90 + n)] for n in range(60)]
    groups = neighbour_groups(sequences_of(lists), most)
    assert sorted(place for line in members_of(groups) for place in line) == list(range(60))
    for line, prefix in zip(members_of(groups), groups.prefix.tolist(), strict=True):
        assert len(line) <= most
        assert prefix == 0 if len(line) == 1 else prefix >= MIN_PREFIX
        assert len({tuple(lists[place][:prefix]) for place in line}) == 1
        assert min(len(lists[place]) for place in line) >= prefix


def test_few_sequences_are_alone():
    assert len(neighbour_groups(random_sequences(1), 4)) == 1
    assert members_of(alone(2)) == [[0], [1]]


@pytest.mark.parametrize("packed", [True, False])
def test_every_row_is_in_one_batch_within_the_budget(packed):
    lengths = random_sequences(100).lengths
    batches = token_batches(lengths, 64, packed=packed)
    assert sorted(torch.cat(batches).tolist()) == list(range(100))
    costs = [int(lengths[rows].sum() if packed else len(rows) * lengths[rows].max()) for rows in batches]
    assert max(costs) <= 64
    assert [rows.tolist() for rows in token_batches(torch.tensor([3, 100]), 10, packed=packed)] == [[1], [0]]
