"""What a reader is: most are fed raw rows and say what they read; one may also make its pairs itself."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from more_repro.data.sources.pair_collector import Rows
from more_repro.files.rows import InputError
from more_repro.params import Data, Source
from more_repro.records import Split


@dataclass(frozen=True, slots=True)
class How:
    """What the params say about making pairs. subset: the preferred domain, for domain_specific."""

    subset: str | None = None
    ranked: Literal["all", "top_two"] = "all"


class RowReader:
    """Adds the comparisons of raw rows to `rows`. A row that raises InputError has added nothing."""

    needs: ClassVar[str]  # what a row must hold, for people
    keys: ClassVar[frozenset[str]]  # that every row of the format has
    json_columns: ClassVar[frozenset[str]] = frozenset()  # that hold no text, should the cells be text
    subset_is_folder: ClassVar[bool] = True  # of a hub set, which holds one for each subset

    def __init__(self, rows: Rows, how: How) -> None:
        self.rows, self.how = rows, how

    @classmethod
    def fits(cls, row: dict[str, Any]) -> bool:
        """Whether a row looks like this format."""
        return cls.keys <= row.keys()

    def add(self, row: dict[str, Any], where: str) -> None:
        """Take one raw row. Raises InputError where it breaks the format."""
        raise NotImplementedError

    def finish(self) -> None:
        """Called once after the last row, by formats whose comparisons span several rows."""

    def form(self) -> str:
        """The format in words, after the rows were read: "text-score, 2 texts a row"."""
        raise NotImplementedError


class PairMaker:
    """A source whose pairs are made, not read: it has all three splits, and no file."""

    origin: ClassVar[str]  # where the pairs come from, in words, for the audit

    @classmethod
    def make(cls, name: str, source: Source, data: Data, split: Split) -> Rows:
        """Make the pairs of a split, the same ones every time. Raises InputError for params it cannot use."""
        raise NotImplementedError


class SameForm:
    """Holds the rows of one file to the form of the first one that could be read."""

    def __init__(self) -> None:
        self.form = ""

    def check(self, form: str, where: str) -> None:
        """Raises InputError if an earlier row had another form. The caller sets `form` once the row is read."""
        if self.form and form != self.form:
            raise InputError(where, "format", form, f"{self.form}, as in the rows before")


def span(least: int, most: int) -> str:
    """A range in words: "2", or "2 to 4"."""
    return str(least) if least == most else f"{least} to {most}"
