"""The data dictionary: every column is described, in plain words, once for one meaning, and the page is the code's."""

import re
from pathlib import Path

import pytest
import yaml

from more_repro.tables import SCHEMAS, TABLES
from more_repro.tables.dictionary import markdown

ROOT = Path(__file__).parents[2]
COLUMNS = [(table, name, column) for table, each in TABLES.items() for name, column in each.columns.items()]
# Idioms that a reader would have to translate.
DIALECT = re.compile(r"\b(told|tells|said|says that|stands?|held|met|meets|so many|hangs on)\b", re.IGNORECASE)


def test_the_page_is_the_one_that_the_code_writes() -> None:
    page = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert page == markdown(), "run: python -m more_repro.tables > docs/data-dictionary.md"


def test_the_page_has_every_column_of_every_table_once() -> None:
    sections = re.split(r"^### `(\w+)`$", markdown(), flags=re.MULTILINE)
    bodies = zip(sections[1::2], sections[2::2], strict=True)
    shown = {name: re.findall(r"^\| `(\w+)` \| `", body, re.MULTILINE) for name, body in bodies}
    assert shown == {name: list(schema) for name, schema in SCHEMAS.items()}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described_in_whole_plain_sentences(table: str) -> None:
    for name, column in TABLES[table].columns.items():
        assert re.match(r"[A-Z`|]", column.description), f"{name}: starts with a capital or a quoted name"
        assert column.text.endswith("."), name
        assert "  " not in column.text, name
        assert not DIALECT.search(column.text), (name, DIALECT.findall(column.text))
        assert len(column.description) > len(name), name


@pytest.mark.parametrize("table", TABLES)
def test_a_number_that_may_be_nan_says_when(table: str) -> None:
    undefined = {name: each.text for name, each in TABLES[table].columns.items() if each.kind == "float?"}
    assert [name for name, text in undefined.items() if "NaN" not in text] == []


@pytest.mark.parametrize("table", TABLES)
def test_every_table_says_what_a_row_is(table: str) -> None:
    text = TABLES[table].description
    assert text[0].isupper()
    assert text.endswith(".")
    assert not DIALECT.search(text), DIALECT.findall(text)


def test_one_name_has_one_meaning_unless_a_table_overrides_it() -> None:
    meanings: dict[str, set[str]] = {}
    for _, name, column in COLUMNS:
        if not column.overrides:
            meanings.setdefault(name, set()).add(column.description)
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_what_overrides_a_meaning_has_one_to_override() -> None:
    shared = {name for _, name, column in COLUMNS if not column.overrides}
    assert {name for _, name, column in COLUMNS if column.overrides} <= shared


@pytest.mark.parametrize("table", TABLES)
def test_the_stage_of_a_table_writes_it_where_the_dictionary_says(table: str) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stage = stages[TABLES[table].stage]
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("do", stage)["outs"]]
    made = [_pattern(out.removeprefix("data/${profile}/")) for out in outs]
    for path in TABLES[table].paths:
        assert any(f"{_pattern(path)}/".startswith(f"{out}/") for out in made), (path, made)


def _pattern(path: str) -> str:
    """A path with every part that varies as `*`: <name> in the dictionary, ${name} in dvc.yaml."""
    return re.sub(r"<\w+>|\$\{[\w.]+\}", "*", path)
