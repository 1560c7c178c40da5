"""Notebooks as source: digests, parameters, what is left of an executed one."""

import json
from pathlib import Path

import nbformat
import pytest
import tiny_notebooks as tiny

from more_repro.nb.pipeline.notebook_source import digest, read, write_digests
from more_repro.nb.runner.parameters import ParameterError, checked_parameters
from more_repro.nb.runner.strip_outputs import scrub, text_of


def edit(path: Path, change: object) -> None:
    notebook = read(path)
    change(notebook)  # type: ignore[operator]
    nbformat.write(notebook, path)


def prose(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[0].source = "# Another title"


def outputs(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]
    notebook.cells[2].execution_count = 9


def metadata(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata["widgets"] = {}
    notebook.cells[2].id = "other"
    notebook.cells[2].metadata["collapsed"] = True
    notebook.cells.append(nbformat.v4.new_markdown_cell("more"))


def code(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].source = "a = 2"


def tags(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].metadata["tags"] = ["x"]


def order(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2], notebook.cells[3] = notebook.cells[3], notebook.cells[2]


@pytest.mark.parametrize(("change", "same"), [(prose, True), (outputs, True), (metadata, True)])
def test_digest_ignores_what_computes_nothing(tmp_path: Path, change: object, same: bool) -> None:
    path = tiny.write(tmp_path / "n.ipynb", "a = 1", "b = 2")
    before = digest(path)
    edit(path, change)
    assert (digest(path) == before) == same


@pytest.mark.parametrize("change", [code, tags, order])
def test_digest_sees_code(tmp_path: Path, change: object) -> None:
    path = tiny.write(tmp_path / "n.ipynb", "a = 1", "b = 2")
    before = digest(path)
    edit(path, change)
    assert digest(path)["sha256"] != before["sha256"]


def test_digests_are_written_by_name(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "04_base.ipynb", "a = 1")
    write_digests([path], tmp_path / "build" / "code")
    assert json.loads((tmp_path / "build/code/04_base.json").read_text()) == digest(path)


def test_something_else_is_not_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text("no json")
    with pytest.raises(ValueError, match=r"n\.ipynb: not a notebook"):
        read(tmp_path / "n.ipynb")


def test_parameters_get_their_declared_types(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "n.ipynb")
    given = {"base": "007", "steps": "7", "share": "1e-6", "quick": "false"}
    found = checked_parameters(path, read(path), given)
    assert found == {"base": "007", "steps": 7, "share": 1e-6, "quick": False}


def test_a_parameter_without_type_is_refused(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "n.ipynb", parameters="base = 'tiny'")
    with pytest.raises(ParameterError, match="'base' needs a type"):
        checked_parameters(path, read(path), {})


def test_text_with_code_in_it_stays_text(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "n.ipynb")
    value = "'; import os; os.abort() #"
    assert checked_parameters(path, read(path), {"base": value}) == {"base": value}


def test_scrubbing_leaves_nothing_that_differs_between_runs(tmp_path: Path) -> None:
    notebook = read(tiny.write(tmp_path / "n.ipynb", "object()"))
    notebook.metadata["papermill"] = {"start_time": "2020", "duration": 1.5}
    cell = notebook.cells[2]
    cell.metadata["execution"] = {"iopub.status.busy": "2020"}
    cell.metadata["papermill"] = {"start_time": "2020"}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="a"),
        nbformat.v4.new_output("stream", name="stderr", text="at 12:00"),
        nbformat.v4.new_output("stream", name="stdout", text="b"),
        nbformat.v4.new_output("display_data", {"text/plain": "<object at 0x7f3a>"}),
    ]
    text = text_of(scrub(notebook))
    for volatile in ("2020", "12:00", "0x7f3a", "papermill", "duration"):
        assert volatile not in text
    assert '"ab"' in text


def test_digest_sees_what_modules_do_and_not_what_they_say(tmp_path: Path) -> None:
    package = tmp_path / "more_repro"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text("x = 1\n")
    (package / "other.py").write_text("x = 1\n")
    tiny.write(tmp_path / "one.ipynb", "import more_repro.low")
    before = digest(tmp_path / "one.ipynb", package)
    assert list(before["modules"]) == ["more_repro/low.py"]
    (package / "low.py").write_text("x = 1  # said\n")
    (package / "other.py").write_text("x = 2\n")
    assert digest(tmp_path / "one.ipynb", package) == before
    (package / "low.py").write_text("x = 2\n")
    assert digest(tmp_path / "one.ipynb", package)["sha256"] != before["sha256"]


def test_digest_names_a_notebook_whose_imports_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "more_repro").mkdir()
    tiny.write(tmp_path / "one.ipynb", "import more_repro.gone")
    with pytest.raises(ValueError, match=r"one\.ipynb: .*more_repro\.gone"):
        digest(tmp_path / "one.ipynb", tmp_path / "more_repro")
