"""Parameters of a notebook, checked before it runs: papermill itself only warns of a misspelt name."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill.inspection import inspect_notebook

_TRUTH = {"true": True, "false": False}


class ParameterError(ValueError):
    """A parameter that the notebook does not know, or whose value does not fit its type."""


def parse_assignments(pairs: Sequence[str]) -> dict[str, str]:
    """`["base=tiny"]` -> `{"base": "tiny"}`. Raises ParameterError for anything else, and for a name given twice."""
    given: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.isidentifier():
            raise ParameterError(f"-p {pair}: expected name=value")
        if name in given:
            raise ParameterError(f"-p {name} is given twice")
        given[name] = value
    return given


def checked_parameters(path: Path, notebook: NotebookNode, given: Mapping[str, str]) -> dict[str, Any]:
    """The given values in the types that the notebook's `parameters` cell declares.

    Raises ParameterError that names the notebook, the parameter and the nearest known one. Every parameter of the
    cell must have a type (`base: str = "tiny"`), or a value could only be guessed from its spelling.
    """
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ParameterError(f"{path}: has {len(tagged)} cells tagged `parameters`, must have one")
    known = {name: found["inferred_type_name"] for name, found in inspect_notebook(path).items()}
    for name, kind in known.items():
        if kind not in _CONVERTERS:
            allowed = ", ".join(_CONVERTERS)
            found = "none" if kind == "None" else kind
            raise ParameterError(
                f"{path}: parameter {name!r} needs a type out of {allowed}, as `{name}: str`; has {found}"
            )
    for name in given:
        if name not in known:
            raise ParameterError(f"{path}: unknown parameter {name!r}; {_nearest(name, known)}")
    return {name: _convert(path, name, value, known[name]) for name, value in given.items()}


def _nearest(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"the nearest known one is {near[0]!r}" if near else "the notebook has none"


def _convert(path: Path, name: str, value: str, kind: str) -> Any:
    try:
        return _CONVERTERS[kind](value)
    except (ValueError, KeyError):
        raise ParameterError(f"{path}: parameter {name!r} must be {kind}, found {value!r}") from None


def _boolean(value: str) -> bool:
    return _TRUTH[value.lower()]


_CONVERTERS: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float, "bool": _boolean}
