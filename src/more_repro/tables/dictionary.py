"""The data dictionary: every table and column of the study as a page of Markdown."""

from collections.abc import Iterator

from more_repro.tables.column import Table
from more_repro.tables.definitions import TABLES

_INTRO = """\
# Data dictionary

Every table that a stage hands to another, and every column in it. This page is written from `more_repro.tables` by
`python -m more_repro.tables > docs/data-dictionary.md`; a test holds it to the code. Words of the field are in the
[glossary](glossary.md).

Files are Parquet, below `data/<profile>/`. Kinds: `str` is text, `int` a whole number, `float` a finite number,
`float?` a number or NaN (undefined for that row), `bool` true or false. Intervals have the confidence of
`stats.confidence` in the params. In tables of reward models `base`, `regime`, `scheme`, `trained_on` and `seed` name
one model.
"""


def markdown() -> str:
    """The page: stages in the order of the pipeline, the tables of each in theirs."""
    stages = dict.fromkeys(table.stage for table in TABLES.values())
    return "\n".join([_INTRO, *(line for stage in stages for line in _stage(stage))])


def _stage(stage: str) -> Iterator[str]:
    yield f"## Stage `{stage}`"
    yield ""
    for name, table in TABLES.items():
        if table.stage == stage:
            yield from _table(name, table)


def _table(name: str, table: Table) -> Iterator[str]:
    yield f"### `{name}`"
    yield ""
    yield table.description
    files = ", ".join(f"`{path}`" for path in table.paths)
    yield f"Files: {files}." if files else "Shown by the notebook, and kept in no file."
    yield ""
    yield "| column | kind | meaning |"
    yield "|---|---|---|"
    for column, each in table.columns.items():
        yield f"| `{column}` | `{each.kind}` | {each.text.replace('|', chr(92) + '|')} |"
    yield ""
