"""dvc.yaml: short, and every stage depends on what its code does and on nothing that computes nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from more_repro.nb.pipeline.notebook_source import write_digests

MOST_LINES = 250
# Stages that are cheap to run: an edited sentence is on their page at once.
RENDERED_AT_ONCE = {"ingest", "data_mixing", "diversity_statistics", "calibration", "regression", "report"}


@pytest.fixture(scope="module")
def stages(root: Path) -> dict[str, Any]:
    found = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in found.items()}


def test_it_can_be_read_in_one_go(root: Path) -> None:
    assert len((root / "dvc.yaml").read_text().splitlines()) <= MOST_LINES


def test_every_notebook_stage_depends_on_its_digest(stages: dict[str, Any], root: Path) -> None:
    seen = set()
    for name, stage in stages.items():
        notebooks = [word for word in stage["cmd"].split() if word.endswith(".ipynb") and " run " in stage["cmd"]]
        for notebook in notebooks:
            seen.add(Path(notebook).name)
            assert f"build/code/{Path(notebook).stem}.json" in stage["deps"], name
            assert (notebook in stage["deps"]) == (name in RENDERED_AT_ONCE), name
    assert seen == {path.name for path in (root / "notebooks").glob("*.ipynb")}


def test_a_stage_that_reads_the_run_facts_writes_none(stages: dict[str, Any]) -> None:
    """Its own would lie in the folder that it depends on, and make it stale for ever."""
    for name, stage in stages.items():
        reads = "data/${profile}/runs" in stage.get("deps", [])
        assert reads == ("--no-facts" in stage["cmd"]), name


@pytest.fixture(scope="module")
def package(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("src") / "more_repro"
    return shutil.copytree(root / "src" / "more_repro", copy, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize(
    ("module", "notebooks"),
    [
        ("report/style.py", {"03", "07", "11", "12"}),
        ("data/mixing.py", {"02"}),
        ("engine/step.py", {"05", "06", "09", "10"}),
        ("nb/runner/page.py", set()),
    ],
)
def test_an_edit_changes_the_digests_of_the_notebooks_that_load_it(
    root: Path, package: Path, tmp_path: Path, module: str, notebooks: set[str]
) -> None:
    every = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    file = package / module
    source = file.read_text()

    def digests(text: str) -> list[str]:
        file.write_text(source + text)
        return [path.read_text() for path in write_digests(every, tmp_path, package)]

    before, remarked, edited = map(digests, ("", "\n# a remark\n", "\nEDITED = True\n"))
    file.write_text(source)
    assert remarked == before
    assert {path.name[:2] for path, a, b in zip(every, before, edited, strict=True) if a != b} == notebooks
