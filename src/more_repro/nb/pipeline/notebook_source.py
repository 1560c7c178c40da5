"""Notebooks as source: their code, a digest of it, and the one form in which git holds them."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from more_repro.store.atomic import write_text
from more_repro.store.code_key import import_closure, module_digests
from more_repro.store.digests import json_digest

PACKAGE = Path("src") / "more_repro"
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_CELL_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def read(path: Path) -> NotebookNode:
    """A notebook in nbformat 4. Raises ValueError that names the file."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such notebook") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a notebook ({str(error).splitlines()[0][:120]})") from None


def code_of(notebook: NotebookNode) -> str:
    """The code cells, one after another, as one module."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def digest(path: Path, package: Path = PACKAGE) -> dict:
    """What a notebook computes: its code cells with their tags, and what each module of the package that it may load
    does. Prose, comments in modules, outputs, counts, ids and metadata are left out.

    Heavy stages depend on this, so that an edited sentence re-trains nothing. Raises ValueError for an import that
    cannot be followed.
    """
    notebook = read(path)
    try:
        modules = module_digests(import_closure(code_of(notebook), package))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    cells = [
        {"tags": sorted(cell.metadata.get("tags", [])), "code": _tidy(cell.source).split("\n")}
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    whole = json_digest([cells, modules])
    return {"notebook": path.name, "sha256": whole, "cells": cells, "modules": modules}


def write_digests(paths: Sequence[Path], out_dir: Path, package: Path = PACKAGE) -> list[Path]:
    """One <notebook>.json for each notebook, written whole or not at all."""
    written = []
    for path in paths:
        target = out_dir / f"{path.stem}.json"
        write_text(target, json.dumps(digest(path, package), indent=1, sort_keys=True) + "\n")
        written.append(target)
    return written


def normalised(notebook: NotebookNode) -> str:
    """The text of a notebook as git holds it: no outputs, counts or editor metadata; ids kept where they are usable."""
    seen: set[str] = set()
    cells = []
    for number, cell in enumerate(notebook.cells):
        tags = sorted(set(cell.metadata.get("tags", [])))
        identity = cell.get("id", "")
        if not _CELL_ID.match(identity) or identity in seen:
            identity = _new_id(number, cell.source, seen)
        seen.add(identity)
        plain = {"cell_type": cell.cell_type, "id": identity, "metadata": {"tags": tags} if tags else {}}
        plain["source"] = _tidy(cell.source)
        if cell.cell_type == "code":
            plain |= {"outputs": [], "execution_count": None}
        cells.append(plain)
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return nbformat.writes(nbformat.from_dict(whole)).rstrip("\n") + "\n"


def normalise(paths: Sequence[Path], check: bool) -> list[str]:
    """Bring notebooks into their one form, or with `check` only look. Returns a line for each one that was not in it,
    and for each that has not exactly one cell tagged `parameters` (which nobody can mend but its writer)."""
    findings = []
    for path in paths:
        notebook = read(path)
        text = normalised(notebook)
        if text != path.read_text(encoding="utf-8"):
            findings.append(f"{path}: {'not normalised; `make notebooks` mends it' if check else 'normalised'}")
            if not check:
                write_text(path, text)
        n_cells = sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
        if n_cells != 1:
            findings.append(f"{path}: has {n_cells} cells tagged `parameters`, must have one")
    return findings


def _tidy(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip("\n").split("\n"))


def _new_id(number: int, source: str, seen: set[str]) -> str:
    attempt = 0
    while True:
        name = hashlib.sha256(f"{number} {attempt} {source}".encode()).hexdigest()[:8]
        if name not in seen:
            return name
        attempt += 1
