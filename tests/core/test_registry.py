"""A thing is registered by its file: listed without an import, loaded by name, and followed by the key of code."""

import subprocess
import sys
from pathlib import Path

import pytest

from more_repro.registry import Registry, UnknownNameError, known_name, modules_in, registered
from more_repro.store.code_key import PACKAGE, import_closure

ROOT = Path(__file__).resolve().parents[2]
# Every folder whose files are registered, and what loads from it.
LOADERS = {
    "more_repro.data.sources.readers": "data/reading/read_source.py",
    "more_repro.engine.weighting": "engine/trainer.py",
    "more_repro.engine.losses": "engine/trainer.py",
    "more_repro.alignment.judges.kinds": "alignment/judging/judging.py",
    "more_repro.report.figures": "report/page/build.py",
    "more_repro.report.tables": "report/page/build.py",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.py", "a.py", "_helper.py", "__init__.py", "notes.txt"):
        (tmp_path / name).write_text("raise RuntimeError('imported')")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("")
    return tmp_path


def test_modules_of_a_folder_are_listed_in_order_without_helpers_and_without_an_import(folder: Path) -> None:
    assert modules_in(folder) == ("a", "b")
    (folder / "c.py").write_text("")
    assert modules_in(folder) == ("a", "b", "c")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of modules"):
        modules_in(tmp_path / "none")


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known_ones() -> None:
    assert known_name("more", ("more", "fixed"), "weighting") == "more"
    with pytest.raises(UnknownNameError, match="unknown weighting 'moer'; the nearest known one is 'more'; known: fi"):
        known_name("moer", ("more", "fixed"), "weighting")
    with pytest.raises(UnknownNameError, match="unknown rule 'a'; known: "):
        known_name("a", (), "rule")


@pytest.mark.parametrize("name", ["os", "../weighting", "more.py", "", "solvers", "__init__"])
def test_no_name_leaves_the_folder(name: str) -> None:
    with pytest.raises(UnknownNameError):
        Registry("more_repro.engine.weighting", "weighting").load(name)


@pytest.mark.parametrize("package", LOADERS)
def test_every_registry_loads_its_files_and_who_loads_from_it_depends_on_each(package: str) -> None:
    folder = PACKAGE.parent.joinpath(*package.split("."))
    names = registered(package.partition(".")[2].replace(".", "/"))
    assert names == modules_in(folder) != ()
    closure = import_closure(PACKAGE / LOADERS[package], PACKAGE)
    assert {folder / f"{name}.py" for name in names} <= closure


def test_params_depend_on_no_file_that_they_can_name() -> None:
    """Else an edited judge would train every reward model anew."""
    closure = {path.relative_to(PACKAGE) for path in import_closure(PACKAGE / "params" / "__init__.py", PACKAGE)}
    outside = {path.as_posix() for path in closure if path.parts[0] != "params"}
    assert outside == {"__init__.py", "registry.py", "schemes.py"}


def test_params_list_names_without_loading_what_they_name() -> None:
    code = "from more_repro.params import load_params; import sys; load_params('params/small.yaml');"
    code += (
        "print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('more_repro.')}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['params', 'registry', 'schemes'] False"
