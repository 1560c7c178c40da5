"""Holds the module deps of dvc.yaml to what the code of each stage imports.

DVC does not follow imports: a missing dep hides a change, a superfluous one re-trains for nothing. A stage that depends
on its notebook's digest needs no modules: they are in the digest, and the stage that makes it depends on all of them.
Package files that are inert (an `__init__.py` with only a docstring) are no deps.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from more_repro.nb.pipeline.notebook_source import PACKAGE, code_of, read
from more_repro.store.code_key import import_closure, is_inert


def compare(dvc_yaml: Path) -> list[str]:
    """A line for each missing or superfluous module of each stage, and for each stage without its notebook.

    So is code that does not parse or that imports a module the package lacks.
    """
    findings = []
    root = dvc_yaml.parent
    for name, stage in _stages(_load(dvc_yaml)):
        code = _code(stage)
        if not code:
            continue
        try:
            wanted, found = _wanted(root, stage, code), _modules(stage)
        except ValueError as error:
            findings.append(f"{name}: {error}")
            continue
        findings += [f"{name}: missing dep {path}" for path in sorted(wanted - found)]
        findings += [f"{name}: superfluous dep {path}" for path in sorted(found - wanted)]
        findings += [
            f"{name}: depends neither on {one} nor on its digest {_digest(one)}"
            for one in code
            if one.suffix == ".ipynb" and not {one.as_posix(), _digest(one)} & set(_deps(stage))
        ]
    return findings


def rewrite(dvc_yaml: Path) -> None:
    """Put the right module deps into dvc.yaml; comments, templates and the order of the rest stay as they are.

    A stage whose code cannot be followed keeps what it has; `compare` says why.
    """
    yaml, document = _yaml(), _load(dvc_yaml)
    for _, stage in _stages(document):
        code = _code(stage)
        if not code:
            continue
        try:
            wanted = sorted(_wanted(dvc_yaml.parent, stage, code))
        except ValueError:
            continue
        deps = stage.get("deps")
        if deps is None:
            stage["deps"] = wanted
            continue
        for index in reversed([i for i, dep in enumerate(deps) if _is_module(dep)]):
            del deps[index]
        deps.extend(wanted)
    text = StringIO()
    yaml.dump(document, text)
    dvc_yaml.write_text(text.getvalue(), encoding="utf-8")


def modules_of(root: Path, code: Path) -> set[str]:
    """Paths, relative to the root, of the package files that a notebook or module needs. Raises ValueError."""
    package = root / PACKAGE
    try:
        text: str | Path = code_of(read(root / code)) if code.suffix == ".ipynb" else root / code
        closure = import_closure(text, package)
    except (SyntaxError, ValueError, FileNotFoundError) as error:
        raise ValueError(f"{code}: {error}") from None
    return {path.relative_to(root).as_posix() for path in closure if not is_inert(path)}


def _wanted(root: Path, stage: Mapping[str, Any], code: list[Path]) -> set[str]:
    """Modules of all the code that a stage runs or digests, but for notebooks whose digest it depends on."""
    parts = [modules_of(root, one) for one in code if _digest(one) not in _deps(stage)]
    return set().union(*parts)


def _digest(code: Path) -> str:
    return f"build/code/{code.stem}.json"


def _code(stage: Mapping[str, Any]) -> list[Path]:
    """The notebook that a stage runs, the notebooks that it digests, or the module; none for the runner's commands."""
    words = shlex.split(" ".join(stage["cmd"]) if isinstance(stage["cmd"], list) else stage["cmd"])
    if words[:3] == ["python", "-m", "more_repro.nb"] and words[3] in ("run", "digest"):
        return [Path(word) for word in words if word.endswith(".ipynb")]
    if words[:2] == ["python", "-m"] and re.match(r"^more_repro\.(?!nb\b)", words[2]):
        path = Path("src").joinpath(*words[2].split("."))
        return [path / "__main__.py" if path.is_dir() else path.with_suffix(".py")]
    return []


def _stages(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, stage in document["stages"].items():
        yield name, stage.get("do", stage)


def _deps(stage: Mapping[str, Any]) -> list[str]:
    return [str(dep) for dep in stage.get("deps", [])]


def _modules(stage: Mapping[str, Any]) -> set[str]:
    return {dep for dep in _deps(stage) if _is_module(dep)}


def _is_module(dep: Any) -> bool:
    return str(dep).startswith(f"{PACKAGE.as_posix()}/")


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(dvc_yaml: Path) -> Any:
    return _yaml().load(dvc_yaml.read_text(encoding="utf-8"))
