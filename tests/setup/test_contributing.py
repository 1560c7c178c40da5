"""The recipes of CONTRIBUTING.md are those that the tests execute, word for word."""

import re
from pathlib import Path

import pytest

KINDS = ("reader", "weighting", "loss", "judge", "base", "figure", "table")
MARKER = re.compile(r"^<!-- recipe: (\S+) -->$", re.MULTILINE)
SHOWN = re.compile(r"^<!-- recipe: (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_extensible_thing_has_a_recipe(page: str) -> None:
    for kind in KINDS:
        assert any(name.startswith(kind) for name in MARKER.findall(page)), kind


def test_recipes_are_shown_as_they_are_executed(root: Path, page: str) -> None:
    folder = root / "tests" / "setup" / "recipes"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    executed = {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}
    assert dict(SHOWN.findall(page)) == executed
