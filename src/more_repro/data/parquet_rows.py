"""Parquet through pyarrow: nested lists and structs come back as lists and objects."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from more_repro.data.rows import Row, SourceError

_BATCH = 1024  # rows made into objects at a time


def read_parquet(data: bytes, path: str) -> Iterator[Row]:
    """Every row, numbered from 1. Raises SourceError where the file is not whole, or names a column twice."""
    number = 0
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        if len(set(names)) != len(names):
            raise SourceError(path, "columns", names, "different names of columns")
        for batch in file.iter_batches(_BATCH):
            for row in _objects(batch, path, number):
                number += 1
                yield f"{path} row {number}", row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        after = f" row {number + 1}" if number else ""
        raise SourceError(f"{path}{after}", "file", str(error), "a whole Parquet file") from None


def _objects(batch: pa.RecordBatch, path: str, done: int) -> list[dict[str, Any] | SourceError]:
    try:
        rows: list[dict[str, Any] | SourceError] = list(batch.to_pylist())
        return rows
    except UnicodeDecodeError:  # a text column need not hold text
        return [_object(batch.slice(at, 1), f"{path} row {done + at + 1}") for at in range(batch.num_rows)]


def _object(row: pa.RecordBatch, where: str) -> dict[str, Any] | SourceError:
    try:
        (found,) = row.to_pylist()
    except UnicodeDecodeError as error:
        return SourceError(where, "bytes", error.object[error.start : error.end], "UTF-8 text")
    return dict(found)
