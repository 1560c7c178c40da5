"""A failed notebook in a few lines: which cell, which line, what, and where to read on."""

import re
from pathlib import Path

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# `Cell In[3], line 2` opens the frame of the cell itself in IPython's traceback.
_CELL_LINE = re.compile(r"Cell In\[\d+\],? line:? ?(\d+)|<ipython-input-\d+-\w+> in .*?line (\d+)")
_MESSAGE_LENGTH = 600


def explain(error: BaseException, notebook: NotebookNode | None, cell_index: int, path: Path) -> list[str]:
    """Lines for the terminal.

    notebook: the cells as far as they came; cell_index: the last one started; path: the notebook in git.
    """
    if isinstance(error, PapermillExecutionError):
        return _cell_error(error, path)
    if isinstance(error, DeadKernelError):
        number, source = _cell_at_work(notebook, cell_index)
        return [
            f"{path}: the kernel died in code cell {number}, most likely because the machine ran out of memory",
            f"    {source}",
            "a smaller rm.token_budget or batch, fewer MORE_REPRO_WORKERS, or a machine with more memory helps",
        ]
    return [f"{path}: {type(error).__name__}: {str(error)[:_MESSAGE_LENGTH]}"]


def _cell_error(error: PapermillExecutionError, path: Path) -> list[str]:
    lines = error.source.splitlines() or [""]
    number = _line_in_cell(error.traceback)
    source = lines[number - 1] if number and number <= len(lines) else lines[-1]
    where = f"code cell {error.exec_count}" + (f", line {number}" if number else "")
    message = _ANSI.sub("", f"{error.ename}: {error.evalue}")
    said = [f"{path}, {where}:", f"    {source.strip()}", message[:_MESSAGE_LENGTH]]
    origin = _origin(error.traceback)
    return said + ([f"raised in {origin}"] if origin else [])


def _line_in_cell(traceback: list[str]) -> int | None:
    for frame in traceback:
        found = _CELL_LINE.search(_ANSI.sub("", frame))
        if found:
            return int(found.group(1) or found.group(2))
    return None


def _origin(traceback: list[str]) -> str | None:
    """Deepest frame within the package: src/more_repro/reward/grid.py:41."""
    text = _ANSI.sub("", "\n".join(traceback))
    frames = re.findall(r"File (?:\S*/)?(src/more_repro/[\w/]+\.py):(\d+)", text)
    return ":".join(frames[-1]) if frames else None


def _cell_at_work(notebook: NotebookNode | None, index: int) -> tuple[int, str]:
    """Number of the code cell that was running, and its first line that is not a comment."""
    if notebook is None:
        return 0, ""
    number = sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])
    lines = [line for line in notebook.cells[index].source.splitlines() if line.strip() and not line.startswith("#")]
    return number, lines[0] if lines else ""
