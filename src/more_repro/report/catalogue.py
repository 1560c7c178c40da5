"""Every figure and table of the report, found by their files, and the order of the page's sections."""

import functools
from collections import Counter
from collections.abc import Iterable

from more_repro.registry import Registry
from more_repro.report.entries import FigureEntry, TableEntry

FIGURES = Registry("more_repro.report.figures", "module of figures")
TABLES = Registry("more_repro.report.tables", "module of tables")
SECTIONS = (
    ("disagreement", "Do the sources disagree?"),
    ("scheme", "How the sources are mixed"),
    ("calibration", "Accuracy and calibration"),
    ("alignment", "Aligned policies"),
)


@functools.cache
def figures() -> tuple[FigureEntry, ...]:
    """The FIGURES of every module in `figures`, section by section.

    Raises ValueError for a section that is not one, and for a name given twice.
    """
    keys = [key for key, _ in SECTIONS]
    found = [entry for name in FIGURES.names() for entry in FIGURES.load(name).FIGURES]
    for entry in found:
        if entry.section not in keys:
            raise ValueError(f"figure {entry.name}: section {entry.section!r} is none of {', '.join(keys)}")
    _check_names("figure", (entry.name for entry in found))
    return tuple(sorted(found, key=lambda entry: (keys.index(entry.section), entry.order, entry.name)))


@functools.cache
def tables() -> tuple[TableEntry, ...]:
    """The TABLES of every module in `tables`, in the order of the page. Raises ValueError for a name given twice."""
    found = [entry for name in TABLES.names() for entry in TABLES.load(name).TABLES]
    _check_names("table", (entry.name for entry in found))
    return tuple(sorted(found, key=lambda entry: (entry.order, entry.name)))


def figures_of(section: str) -> tuple[FigureEntry, ...]:
    """The figures of one section, in their order."""
    return tuple(entry for entry in figures() if entry.section == section)


def _check_names(kind: str, names: Iterable[str]) -> None:
    """Names become files of the report: none may stand twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{kind} {', '.join(twice)}: the name stands twice")
