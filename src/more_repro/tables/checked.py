"""Tables are checked against their schema whenever they are written and read."""

from pathlib import Path

import numpy as np
import pandas as pd

from more_repro.store.atomic import replacing
from more_repro.tables.column import Kind
from more_repro.tables.definitions import SCHEMAS


class TableError(ValueError):
    """A table does not have the columns or values its schema asks for; the message names table, column and row."""


def check(table: pd.DataFrame, name: str, where: str = "") -> pd.DataFrame:
    """Return the table with the schema's columns in the schema's order and types; raise TableError otherwise."""
    schema, where = SCHEMAS[name], where or name
    missing = [column for column in schema if column not in table.columns]
    extra = [column for column in table.columns if column not in schema]
    if missing or extra:
        raise TableError(f"{where}: columns missing {missing}, not expected {extra}")
    return pd.DataFrame({column: _column(table[column], kind, where) for column, kind in schema.items()})


def write(table: pd.DataFrame, path: str | Path, name: str) -> Path:
    """Check a table and write it as Parquet, whole or not at all."""
    checked = check(table, name, str(path))
    with replacing(path) as part:
        checked.to_parquet(part, index=False, compression="zstd")
    return Path(path)


def read(path: str | Path, name: str) -> pd.DataFrame:
    """Read a table and check it. Raises TableError that names the file, and the command that makes it."""
    if not Path(path).exists():
        raise TableError(f"{path}: no such table; `dvc repro` makes it")
    return check(pd.read_parquet(path), name, str(path))


def read_columns(path: str | Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table, as they were checked when it was written: where the rest would take room for nothing.

    Raises TableError where the file is not there or lacks one of them.
    """
    if not Path(path).exists():
        raise TableError(f"{path}: no such table; `dvc repro` makes it")
    schema = SCHEMAS[name]
    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, KeyError) as error:
        raise TableError(f"{path}: {error}") from None
    return pd.DataFrame({column: _column(table[column], schema[column], str(path)) for column in columns})


def empty(name: str) -> pd.DataFrame:
    """A table without rows, for a part of the study that the params leave out."""
    return check(pd.DataFrame({column: [] for column in SCHEMAS[name]}), name)


def _column(values: pd.Series, kind: Kind, where: str) -> pd.Series:
    where = f"{where}: column {values.name!r}"
    if kind == "str":
        if values.dtype == "str" and not values.hasnans:
            return values.reset_index(drop=True)
        bad = ~values.map(lambda value: isinstance(value, str)).astype(bool)
        if bad.any():
            raise TableError(f"{where}: row {int(bad.to_numpy().argmax())} is not text")
        return values.astype(object).reset_index(drop=True).astype("str")
    try:
        numbers = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TableError(f"{where}: {error}") from None
    bad_number = np.isinf(numbers) | (np.isnan(numbers) if kind != "float?" else False)
    if kind in ("int", "bool"):
        bad_number |= numbers != np.round(numbers)
    if bad_number.any():
        row = int(np.argmax(bad_number))
        raise TableError(f"{where}: row {row} holds {numbers[row]}, which a column of kind {kind!r} cannot")
    dtype = {"int": np.int64, "bool": np.bool_}.get(kind, np.float64)
    return pd.Series(numbers.astype(dtype), name=values.name)
