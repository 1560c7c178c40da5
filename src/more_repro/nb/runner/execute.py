"""Execution by papermill, with the log shown live and the notebook kept in hand when a cell fails."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets import Instance

from more_repro.nb.runner.kernel import KERNEL_NAME
from more_repro.nb.runner.live_log import LiveLog

ENGINE = "more_repro"


class _Client(PapermillNotebookClient):
    execution: Any = Instance(object)

    def execute_cell(self, cell: NotebookNode, cell_index: int, **kwargs: Any) -> NotebookNode:
        self.execution.cell_index = cell_index
        return super().execute_cell(cell, cell_index, **kwargs)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Standard error goes to the log and not into the notebook: it holds rates, times and paths of a machine."""
        if msg["msg_type"] == "stream" and msg["content"]["name"] == "stderr":
            self.execution.log.feed(msg["content"]["text"])
            return None
        return super().process_message(msg, cell, cell_index)


class _Engine(NBClientEngine):
    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
        execution: Execution = kwargs["execution"]
        execution.notebook = nb_man.nb
        _Client(
            nb_man,
            execution=execution,
            kernel_name=kernel_name,
            # A graceful shutdown interrupts the kernel first, which then writes an alarming line.
            shutdown_kernel="immediate",
            startup_timeout=kwargs["start_timeout"],
            log=logging.getLogger("papermill"),
        ).execute()


class Execution:
    """One run of a notebook. `notebook` holds the cells as far as they came, `cell_index` the last one started."""

    def __init__(self, log: LiveLog) -> None:
        self.log = log
        self.notebook: NotebookNode | None = None
        self.cell_index = 0

    def run(self, path: Path, parameters: Mapping[str, Any], cwd: Path) -> NotebookNode:
        """Run the cells in `cwd`. Raises papermill's PapermillExecutionError, nbclient's DeadKernelError."""
        logging.getLogger("papermill").setLevel(logging.CRITICAL)
        papermill_engines.register(ENGINE, _Engine)
        papermill.execute_notebook(
            path,
            None,
            dict(parameters),
            engine_name=ENGINE,
            kernel_name=KERNEL_NAME,
            request_save_on_cell_execute=False,
            progress_bar=False,
            start_timeout=120,
            cwd=cwd,
            execution=self,
        )
        assert self.notebook is not None
        return self.notebook
