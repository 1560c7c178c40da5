"""What the report knows of a figure and of a table: an entry beside its drawing or its rows, found by the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from more_repro.report.run_tables import Study

Shown = tuple[pd.DataFrame, str | None]  # rows and columns that fit a page, and the column that heads groups of rows


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """A figure. section: a key of `catalogue.SECTIONS`. order: its place among the figures of the section.

    caption: what it shows and how to read it, never a result; {seed}, {n_seeds}, {n_test} and {regime} are filled in,
    see `run_tables.caption_facts`. alt: the same, shorter. draw, rows: of a regime; per_regime: whether it differs.
    """

    name: str
    title: str
    section: str
    order: int
    caption: str
    alt: str
    draw: Callable[[Study, str], Figure]
    rows: Callable[[Study, str], pd.DataFrame]
    per_regime: bool = True


def as_it_is(table: pd.DataFrame) -> Shown:
    """Every row and column."""
    return table, None


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A table beyond the paper's. order: its place among them. caption: without its last period, or made of the study.

    rows: what the CSV holds. shown: what of it fits a page. css: the style of its cells, such as `texts`.
    """

    name: str
    title: str
    order: int
    caption: str | Callable[[Study], str]
    rows: Callable[[Study], pd.DataFrame]
    shown: Callable[[pd.DataFrame], Shown] = as_it_is
    css: str = ""

    def caption_of(self, study: Study) -> str:
        return self.caption if isinstance(self.caption, str) else self.caption(study)
