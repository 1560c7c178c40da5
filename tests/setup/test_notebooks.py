"""The cell rules of the notebooks (docs of the house style), and their stage deps."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from nbformat import NotebookNode

from more_repro.nb.pipeline.notebook_source import code_of, normalise, read
from more_repro.nb.pipeline.stage_deps import compare

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 15
MEDIAN_LINES = 6
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@every_notebook
def test_notebook_is_normalised(path: Path) -> None:
    assert normalise([path], check=True) == []


@every_notebook
def test_every_cell_has_an_id_of_its_own(path: Path) -> None:
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids)


@every_notebook
def test_opens_with_the_question_then_parameters_then_imports(path: Path) -> None:
    cells = read(path).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    first, second = code_cells(path)[:2]
    assert first.metadata.get("tags") == ["parameters"]
    statements = ast.parse(second.source).body
    assert any(isinstance(node, ast.Import | ast.ImportFrom) for node in statements)


@every_notebook
def test_imports_stand_in_one_cell(path: Path) -> None:
    for cell in code_cells(path)[2:]:
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not found, cell.source


@every_notebook
def test_cells_are_short(path: Path) -> None:
    lengths = sorted(len(cell.source.splitlines()) for cell in code_cells(path))
    assert lengths[-1] <= MOST_LINES
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES


@every_notebook
def test_every_step_is_introduced_by_prose(path: Path) -> None:
    cells = read(path).cells
    steps = [number for number, cell in enumerate(cells) if cell.cell_type == "code"][3:]
    # Parameters, imports and the cell that loads the inputs stand together under the opening.
    for number in steps:
        assert cells[number - 1].cell_type == "markdown", cells[number].source


@every_notebook
def test_logic_lives_in_the_package(path: Path) -> None:
    for node in ast.walk(ast.parse(code_of(read(path)))):
        assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.While), ast.unparse(
            node
        )
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in ("sys.exit", "exit", "quit", "os._exit", "os.system", "get_ipython"), name
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.match(r"^(\.{0,2}/|data/|reports/|\.scratch)", node.value), f"literal path {node.value}"


@every_notebook
def test_no_magic_and_no_shell(path: Path) -> None:
    for cell in code_cells(path):
        for line in cell.source.splitlines():
            assert not re.match(r"^\s*[!%?]", line), line


def test_stage_deps_equal_the_imports() -> None:
    assert compare(ROOT / "dvc.yaml") == [], "`make deps` mends it"


def test_a_stage_that_reads_the_run_facts_writes_none() -> None:
    """Its own would lie in the folder that it depends on, and make it stale for ever."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        stage = stage.get("do", stage)
        reads = "data/${profile}/runs" in stage.get("deps", [])
        assert reads == ("--no-facts" in stage["cmd"]), name
