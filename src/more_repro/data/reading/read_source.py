"""The one door to the pairs of a source: container and format found, rows read, unreadable ones counted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from more_repro.data.reading import format_detection
from more_repro.data.reading.loading import raw_rows
from more_repro.data.sources import pair_maker, row_readers
from more_repro.data.sources.pair_collector import Rows
from more_repro.data.sources.reader import How, RowReader
from more_repro.files.rows import InputError, RawRows, Row
from more_repro.params import Data, Source
from more_repro.records import SPLITS, Split

_SHOWN = 3  # unreadable rows that the last error names


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One row of the table `audit_files`: what was read for a split, and how it was understood.

    n_rows: raw rows, the unreadable ones too. sha256: of a local file's bytes, or of a hub split's rows.
    """

    source: str
    split: str
    file: str
    container: str
    format: str
    n_rows: int
    bytes: int
    sha256: str
    revision: str


@dataclass(slots=True)
class Allowance:
    """How many rows of a source may be unreadable, over all its splits, and those that were."""

    most: int
    errors: list[InputError] = field(default_factory=list)

    def take(self, error: InputError, rows: Rows) -> None:
        """Count an unreadable row. Raises its error if none may be, or one that names the first few."""
        self.errors.append(error)
        if self.most == 0:
            raise error
        if len(self.errors) > self.most:
            first = "; ".join(str(each) for each in self.errors[:_SHOWN])
            raise InputError(
                error.where, "unreadable rows", len(self.errors), f"at most data.unreadable_rows = {self.most}: {first}"
            )
        rows.drop("unreadable", where=str(error))


def read_source(name: str, source: Source, data: Data) -> tuple[dict[Split, Rows], list[FileFacts]]:
    """Every split that a source has: train, test if it is named, and validation where its reader makes the pairs.

    Raises InputError for a file that cannot be read, and for more unreadable rows than data.unreadable_rows.
    """
    maker = pair_maker(source.reader)
    if maker is not None:
        return {split: maker.make(name, source, data, split) for split in SPLITS}, []
    allowance = Allowance(data.unreadable_rows)
    train, facts = read_split(name, source, data, "train", allowance)
    if source.test is None:
        return {"train": train}, [facts]
    test, more = read_split(name, source, data, "test", allowance)
    return {"train": train, "test": test}, [facts, more]


def read_split(
    name: str, source: Source, data: Data, split: Literal["train", "test"], allowance: Allowance | None = None
) -> tuple[Rows, FileFacts]:
    """The pairs of one split, and where they come from."""
    raw = raw_rows(name, source, data, split)
    rows = Rows(name)
    head = list(islice(raw.rows, format_detection.HEAD))
    if not head:
        where = raw.file if source.location is not None else str(Path(data.folder) / raw.file)
        raise InputError(where, "rows", 0, "at least one row")
    chosen = format_detection.detect(head, head[0][0]) if source.reader == "auto" else source.reader
    reader = row_readers()[chosen](rows, How(source.subset, data.ranked))
    n_rows = _feed(reader, chosen, chain(head, raw.rows), allowance or Allowance(data.unreadable_rows))
    return rows, _facts(name, split, raw, reader.form(), n_rows)


def _feed(reader: RowReader, name: str, raw: Iterator[Row], allowance: Allowance) -> int:
    n_rows = 0
    for where, row in raw:
        n_rows += 1
        try:
            if isinstance(row, InputError):
                raise row
            reader.add(row, where)
        except InputError as error:
            allowance.take(format_detection.mixed((where, row), name) or error, reader.rows)
    reader.finish()
    return n_rows


def _facts(name: str, split: str, raw: RawRows, form: str, n_rows: int) -> FileFacts:
    return FileFacts(
        name, split, raw.file, raw.container, form, n_rows, raw.n_bytes, raw.hasher.hexdigest(), raw.revision
    )
