"""Parquet through pyarrow: nested lists and structs come back as lists and objects."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from more_repro.files.rows import InputError, Row

_BATCH = 1024  # rows made into objects at a time
# What pyarrow raises for a value that is no Python object: no UTF-8, no date, a field named twice, no time zone.
_NO_OBJECT = (pa.ArrowException, ValueError, ArithmeticError, LookupError, TypeError)


def read_parquet(data: bytes, path: str) -> Iterator[Row]:
    """Every row, numbered from 1. Raises InputError where the file is not whole, or names a column twice."""
    number = 0
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        if len(set(names)) != len(names):
            raise InputError(path, "columns", names, "different names of columns")
        for batch in file.iter_batches(_BATCH):
            for row in _objects(batch, path, number):
                number += 1
                yield f"{path} row {number}", row
    except InputError:
        raise
    except (OSError, *_NO_OBJECT) as error:
        after = f" row {number + 1}" if number else ""
        raise InputError(f"{path}{after}", "file", str(error), "a whole Parquet file") from None


def _objects(batch: pa.RecordBatch, path: str, done: int) -> list[dict[str, Any] | InputError]:
    try:
        rows: list[dict[str, Any] | InputError] = list(batch.to_pylist())
        return rows
    except _NO_OBJECT:
        return [_object(batch, at, f"{path} row {done + at + 1}") for at in range(batch.num_rows)]


def _object(batch: pa.RecordBatch, at: int, where: str) -> dict[str, Any] | InputError:
    """One row; a date or time that Python cannot hold is None, since no format reads any."""
    row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[at].as_py()
        except UnicodeDecodeError as error:  # a text column need not hold text
            return InputError(where, "bytes", error.object[error.start : error.end], "UTF-8 text")
        except _NO_OBJECT as error:
            if not pa.types.is_temporal(column.type):
                return InputError(where, name, str(error), "a value that can be read")
            row[name] = None
    return row
