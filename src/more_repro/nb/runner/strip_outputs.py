"""An executed notebook without what differs between two equal runs."""

import re
from typing import Any

import nbformat
from nbformat import NotebookNode

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PAPERMILL_MARK = "papermill-error-cell-tag"


def scrub(notebook: NotebookNode) -> NotebookNode:
    """A copy with cells, tags, outputs and execution counts, and nothing else: no times, durations, random ids,
    papermill section, memory addresses. Stream outputs that arrived in pieces become one."""
    cells = []
    for number, cell in enumerate(c for c in notebook.cells if _PAPERMILL_MARK not in c.metadata.get("tags", [])):
        tags = list(cell.metadata.get("tags", []))
        plain: dict[str, Any] = {"cell_type": cell.cell_type, "id": f"cell-{number:02}"}
        plain |= {"metadata": {"tags": tags} if tags else {}, "source": cell.source}
        if cell.cell_type == "code":
            plain |= {"execution_count": cell.execution_count, "outputs": _outputs(cell.outputs)}
        cells.append(plain)
    metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def text_of(notebook: NotebookNode) -> str:
    """The notebook as the bytes of its file."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _outputs(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for output in outputs:
        plain: dict[str, Any] = {"output_type": output.output_type}
        if output.output_type == "stream":
            if output.name == "stderr":
                continue
            if kept and kept[-1]["output_type"] == "stream":
                kept[-1]["text"] += _steady(output.text)
                continue
            plain |= {"name": output.name, "text": _steady(output.text)}
        elif output.output_type == "error":
            plain |= {"ename": output.ename, "evalue": output.evalue, "traceback": list(output.traceback)}
        else:
            plain |= {"data": _data(output.data), "metadata": dict(output.metadata)}
            if output.output_type == "execute_result":
                plain["execution_count"] = output.execution_count
        kept.append(plain)
    return kept


def _data(data: NotebookNode) -> dict[str, Any]:
    return {kind: _steady(value) if kind in ("text/plain", "text/html") else value for kind, value in data.items()}


def _steady(text: str) -> str:
    return _ADDRESS.sub(" at 0x…", text)
