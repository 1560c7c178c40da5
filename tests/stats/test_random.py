"""Random generators: three derivations, each pinned, for published numbers come from all of them."""

import re
from pathlib import Path

import numpy as np
import pytest

import more_repro
from more_repro.stats.random import generator, numbered, order_by_hash, stream

PACKAGE = Path(more_repro.__file__).parent
PINNED = {
    "generator": 0.36636331934315547,
    "stream": 0.03803365245296775,
    "numbered": 0.4391064010965954,
    "order": ["a", "b", "d", "c"],
}


@pytest.mark.parametrize("make", [generator, stream])
def test_generators_go_by_seed_and_name(make):
    first = make(1, "a", "b").random(3)
    assert np.array_equal(first, make(1, "a", "b").random(3))
    for other in (make(1, "a"), make(1, "b", "a"), make(2, "a", "b"), make(-1, "a", "b")):
        assert not np.array_equal(first, other.random(3))


def test_the_names_of_a_stream_are_kept_apart():
    assert stream(0, "ab", "c").random() != stream(0, "a", "bc").random()


def test_numbers_are_a_sequence_and_one_seed_is_numpys_own():
    assert numbered(7).random() == np.random.default_rng(7).random()
    assert numbered(7, 1, 2).random() == np.random.default_rng([7, 1, 2]).random()
    assert numbered(7, 1, 2).random() != numbered(7, 2, 1).random()
    with pytest.raises(ValueError, match="non-negative"):
        numbered(7, -1)


def test_derivations_give_the_numbers_that_they_always_gave():
    assert generator(0, "paired", "all").random() == PINNED["generator"]
    assert stream(0, "mixing", "helpful", "1").random() == PINNED["stream"]
    assert numbered(0, 101).random() == PINNED["numbered"]
    assert order_by_hash(["a", "b", "c", "d"], 0, "test") == PINNED["order"]


def test_a_keys_rank_among_others_never_depends_on_what_else_is_there():
    keys = [f"k{number}" for number in range(50)]
    whole = order_by_hash(keys, 3, "test")
    assert sorted(whole) == sorted(keys)
    assert order_by_hash([*keys[::2], *keys[::2]], 3, "test") == [key for key in whole if key in keys[::2]]
    assert order_by_hash(keys, 4, "test") != whole != order_by_hash(keys, 3, "validation")


def test_numpy_generators_are_made_in_one_module():
    """Of the engine, which needs no statistics, one weighting makes its own."""
    making = re.compile(r"default_rng\(|SeedSequence\(|PCG64\(|RandomState\(|np\.random\.seed")
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if making.search(path.read_text())}
    assert found == {"stats/random.py", "engine/weighting/random.py"}
