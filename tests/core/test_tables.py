"""Tables keep their schema on disk and refuse what it does not allow."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.tables import TableError

WORDS = pd.DataFrame(
    {
        "source": ["a", "b"],
        "word": ["x", "y"],
        "log_odds": [0.5, -1.0],
        "low": [0.0, -1.5],
        "high": [1.0, -0.5],
        "z": [2.0, -3.0],
        "z_limit": [3.5, 3.5],
        "n_chosen": [3, 1],
        "n_rejected": [1, 4],
    }
)


def test_round_trip_keeps_values_order_and_types(tmp_path: Path) -> None:
    path = tables.write(WORDS[WORDS.columns[::-1]], tmp_path / "deep" / "t.parquet", "word_log_odds")
    back = tables.read(path, "word_log_odds")
    pd.testing.assert_frame_equal(back, tables.check(WORDS, "word_log_odds"))
    assert list(back.columns) == list(tables.SCHEMAS["word_log_odds"])
    assert [p.name for p in path.parent.iterdir()] == ["t.parquet"]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    first = tables.write(WORDS, tmp_path / "1.parquet", "word_log_odds").read_bytes()
    assert first == tables.write(WORDS.copy(), tmp_path / "2.parquet", "word_log_odds").read_bytes()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.drop(columns="z"), "missing ['z']"),
        (lambda t: t.assign(extra=1), "not expected ['extra']"),
        (lambda t: t.assign(z=[1.0, np.nan]), "row 1 holds nan"),
        (lambda t: t.assign(z=[np.inf, 1.0]), "row 0 holds inf"),
        (lambda t: t.assign(n_chosen=[1.5, 2]), "row 0 holds 1.5"),
        (lambda t: t.assign(word=["x", None]), "row 1 is not text"),
        (lambda t: t.assign(z=["many", 1]), "column 'z'"),
    ],
)
def test_what_the_schema_forbids_is_refused_with_its_place(tmp_path: Path, change, part: str) -> None:
    with pytest.raises(TableError) as error:
        tables.write(change(WORDS), tmp_path / "t.parquet", "word_log_odds")
    assert part in str(error.value)
    assert "t.parquet" in str(error.value)
    assert not (tmp_path / "t.parquet").exists()


def test_nan_is_allowed_only_where_the_schema_says_so() -> None:
    row = {"claim": "C1", "statement": "s", "data": "d", "verdict": "undecided", "estimate": np.nan, "low": np.nan,
           "high": np.nan, "n": 0, "rule": "r", "sentence": "t"}  # fmt: skip
    assert np.isnan(tables.check(pd.DataFrame([row]), "claims")["estimate"][0])


def test_a_missing_table_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="dvc repro"):
        tables.read(tmp_path / "none.parquet", "scores")


@pytest.mark.parametrize("name", list(tables.SCHEMAS))
def test_every_schema_has_an_empty_table(name: str) -> None:
    assert tables.empty(name).empty


def test_some_columns_are_read_and_checked_alone(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["a", "b"], "position": [0, 1], "pair_id": ["x", "y"], "pass_number": [0, 0]})
    path = tables.write(table, tmp_path / "mixture.parquet", "mixture")
    some = tables.read_columns(path, "mixture", ["pair_id", "position"])
    assert list(some.columns) == ["pair_id", "position"]
    assert some.equals(tables.read(path, "mixture")[["pair_id", "position"]])
    with pytest.raises(TableError, match="no such table"):
        tables.read_columns(tmp_path / "none.parquet", "mixture", ["pair_id"])
    table.drop(columns="pair_id").to_parquet(path)
    with pytest.raises(TableError, match="pair_id"):
        tables.read_columns(path, "mixture", ["pair_id"])
