"""The cell rules of the notebooks."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode

from more_repro.nb.pipeline.notebook_source import code_of, read

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 15
MEDIAN_LINES = 6
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_git_holds_no_output() -> None:
    command = [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`make notebooks` mends it: {done.stdout}"


@every_notebook
def test_git_holds_no_setting_of_an_editor(path: Path) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert len({cell["id"] for cell in raw["cells"]}) == len(raw["cells"])
    assert all(set(cell["metadata"]) <= {"tags"} for cell in raw["cells"]), "`make notebooks` mends it"
    assert raw["metadata"]["kernelspec"]["name"] == "python3"
    assert raw["metadata"]["language_info"] == {"name": "python"}, "`make notebooks` mends it"


@every_notebook
def test_opens_with_the_question_then_parameters_then_imports(path: Path) -> None:
    cells = read(path).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    first, second = code_cells(path)[:2]
    assert first.metadata.get("tags") == ["parameters"]
    assert not any("parameters" in cell.metadata.get("tags", []) for cell in code_cells(path)[1:])
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
