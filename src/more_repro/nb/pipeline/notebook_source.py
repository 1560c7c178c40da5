"""Notebooks as source: their code, and a digest of what it does."""

import json
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from more_repro.store.atomic import write_text
from more_repro.store.code_key import import_closure, module_digests
from more_repro.store.digests import json_digest

PACKAGE = Path("src") / "more_repro"


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

    Stages depend on this, so that an edited sentence re-trains nothing. Raises ValueError for an import that
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
    """One <notebook>.json for each notebook."""
    written = []
    for path in paths:
        target = out_dir / f"{path.stem}.json"
        write_text(target, json.dumps(digest(path, package), indent=1, sort_keys=True) + "\n")
        written.append(target)
    return written


def _tidy(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip("\n").split("\n"))
