import doctest

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from more_repro.stats import best_of_n as module
from more_repro.stats.best_of_n import best_of_n


def numbers(samples, **settings):
    return best_of_n(samples, **settings).set_index("prompt_id")["number"].to_dict()


def test_the_example_by_hand():
    done = doctest.testmod(module)
    assert (done.failed, done.attempted > 0) == (0, True)


def test_the_highest_is_taken_and_the_first_among_equals_whatever_the_order_of_rows():
    table = pd.DataFrame(
        {"prompt_id": list("aabbb"), "number": [1, 0, 2, 0, 1], "reward": [3.0, 3.0, 5.0, 1.0, 2.0]}, index=[0] * 5
    )
    assert numbers(table) == {"a": 0, "b": 2}
    assert numbers(table.assign(reward=-table["reward"])) == {"a": 0, "b": 0}
    assert numbers(table.assign(other=[0, 1, 0, 1, 0]), by="other") == {"a": 0, "b": 0}
    assert list(best_of_n(table.iloc[::-1])["prompt_id"]) == ["b", "a"]
    assert list(best_of_n(table).columns) == list(table.columns)


@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=6), min_size=1, max_size=5))
def test_groups_of_any_size_have_the_first_of_their_highest(grid):
    rows = [(f"p{place}", number, float(value)) for place, line in enumerate(grid) for number, value in enumerate(line)]
    table = pd.DataFrame(rows, columns=["prompt_id", "number", "reward"])
    expected = {f"p{place}": line.index(max(line)) for place, line in enumerate(grid)}
    assert numbers(table) == expected
    twice = pd.concat([table.assign(model=0), table.assign(model=1, reward=-table["reward"])])
    best = best_of_n(twice, ("model", "prompt_id"))
    assert best["model"].tolist() == [0] * len(grid) + [1] * len(grid)
    assert best.loc[best["model"] == 1, "number"].tolist() == [line.index(min(line)) for line in grid]
