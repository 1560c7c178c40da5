"""The files that describe the environment agree with each other and with what is installed."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from more_repro.nb.project.doctor import examine
from more_repro.nb.project.requirements import mismatches, normal, parse_lock


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    return parse_lock((root / "requirements.lock").read_text())


def declared(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]


def test_every_dependency_is_locked_in_a_version_that_satisfies_it(root: Path, pins: dict[str, str]) -> None:
    for requirement in declared(root):
        assert normal(requirement.name) in pins, requirement.name
        assert requirement.specifier.contains(pins[normal(requirement.name)]), str(requirement)


def imported(root: Path) -> dict[str, bool]:
    """Distribution of every third-party import of the package, and whether a module needs it to load."""
    found: dict[str, bool] = {}
    known = packages_distributions()
    for path in (root / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_once = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"more_repro"}:
                (distribution,) = set(known[name])
                found[normal(distribution)] = found.get(normal(distribution), False) or id(node) in at_once
    return found


def test_every_import_is_declared_and_every_declared_package_is_used(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = {normal(Requirement(text).name) for text in project["dependencies"]}
    extras = {
        normal(Requirement(text).name)
        for name, texts in project["optional-dependencies"].items()
        if name != "dev"
        for text in texts
    }
    found = imported(root)
    assert {name for name, at_once in found.items() if at_once} <= needed
    assert set(found) <= needed | extras, "an extra is imported where it is asked for"
    commands = {"dvc", "jupyterlab"}
    assert needed - set(found) == commands


def test_one_lock_serves_cpu_and_cuda(root: Path, pins: dict[str, str]) -> None:
    text = (root / "requirements.lock").read_text()
    assert pins["torch"] == "2.13.0"
    for word in ("+cpu", "nvidia", "triton", "index-url", "find-links", "more-repro", "file:", "-e "):
        assert word not in text.replace("`", ""), word


def test_lock_is_sorted_and_exact(root: Path) -> None:
    names = [line.partition("==")[0] for line in (root / "requirements.lock").read_text().splitlines()[1:]]
    assert names == sorted(set(names))


def test_a_loose_line_in_a_lock_is_refused() -> None:
    with pytest.raises(ValueError, match=r"requirements\.lock:2: expected name==version, found 'numpy>=2'"):
        parse_lock("torch==2.13.0\nnumpy>=2\n")


def test_mismatches_are_named() -> None:
    assert mismatches({"no-such-package": "1"}) == ["no-such-package: not installed, locked 1"]
    (line,) = mismatches({"pytest": "0.0.1"})
    assert line.endswith("locked 0.0.1")


def test_conda_installs_what_pip_installs(root: Path) -> None:
    """pip refuses `-e . --no-deps` inside a requirements file; with the lock beside it `-e .` adds nothing."""
    found = yaml.safe_load((root / "environment.yml").read_text())
    assert found["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.lock", "-e ."]}]


def test_doctor_shows_machine_and_packages(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examine(root)
    rows = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if line and line[0] not in " !")
    assert {"python", "platform", "cores", "memory", "torch", "GPU", "packages", "disk", "HF", "DVC"} <= set(rows)
