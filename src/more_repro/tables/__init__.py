"""Tables that cross a stage border: each has a schema, checked when it is written and when it is read."""

from more_repro.tables.checked import TableError, check, empty, read, read_columns, write
from more_repro.tables.definitions import SCHEMAS, TABLES

__all__ = ["SCHEMAS", "TABLES", "TableError", "check", "empty", "read", "read_columns", "write"]
