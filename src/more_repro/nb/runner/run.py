"""Runs one notebook as one stage: `python -m more_repro.nb run notebooks/X.ipynb --stage NAME -p base=tiny`."""

import datetime
import importlib.metadata
import json
import platform
import re
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from more_repro.nb.pipeline import notebook_source
from more_repro.nb.project.stage_lock import stage_lock
from more_repro.nb.project.terminal import clock, warn
from more_repro.nb.runner import kernel
from more_repro.nb.runner.execute import Execution
from more_repro.nb.runner.failure import explain
from more_repro.nb.runner.live_log import LiveLog
from more_repro.nb.runner.memory import PeakMemory
from more_repro.nb.runner.page import render
from more_repro.nb.runner.parameters import checked_parameters, parse_assignments
from more_repro.nb.runner.strip_outputs import scrub, text_of
from more_repro.params import Params, load_params
from more_repro.paths import Paths
from more_repro.store.atomic import write_text
from more_repro.store.digests import json_digest
from more_repro.workers import die_with_parent

_STAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_@.-]*$")
_VERSIONS = ("torch", "transformers", "datasets", "numpy", "pandas", "scipy", "statsmodels", "dvc", "papermill")
INTERRUPTED = 130


def run_stage(
    path: Path, stage: str, assignments: Sequence[str], *, facts: bool = True, lock_wait_s: float = 30.0
) -> int:
    """Check, execute, write notebook, page and run facts. Returns the exit status: 0, 1 (a cell failed) or 130.

    The working directory is the project's root. `@` in a stage's name (rm@tiny-more, as DVC prints it) becomes `-` in
    file names. facts: whether to write the run's JSON; a stage that reads those of the others writes none.
    Raises ParamsError, ParameterError, ValueError and StageBusy before anything runs.
    """
    if not _STAGE.match(stage):
        raise ValueError(f"--stage {stage!r}: use letters, digits and _ - . @")
    stage = stage.replace("@", "-")
    params = load_params("params.yaml")
    notebook = notebook_source.read(path)
    parameters = checked_parameters(path, notebook, parse_assignments(assignments))
    paths = Paths(params.profile)
    die_with_parent()
    signal.signal(signal.SIGTERM, _interrupt)
    kernel.apply(kernel.prepare(Path.cwd()) | kernel.environment(params))
    with stage_lock(paths.scratch / "locks" / f"{stage}.lock", stage, lock_wait_s):
        return _run(path, stage, parameters, params, facts)


def _run(path: Path, stage: str, parameters: Mapping[str, Any], params: Params, write_facts: bool) -> int:
    paths = Paths(params.profile)
    facts = {"Notebook": path.as_posix(), "Profile": params.profile, "Params": params_digest(params)}
    facts |= {"Parameters": ", ".join(f"{k} = {v}" for k, v in parameters.items())} if parameters else {}
    started, began = datetime.datetime.now(datetime.UTC), time.monotonic()
    with LiveLog(stage, paths.scratch / "logs" / f"{stage}.log") as log, PeakMemory() as memory:
        execution = Execution(log)
        try:
            executed = execution.run(path, parameters, Path.cwd())
        except KeyboardInterrupt:
            warn(f"[{stage}] interrupted after {clock(time.monotonic() - began)}")
            return INTERRUPTED
        except Exception as error:
            _report_failure(error, execution, path, stage, facts)
            return 1
    wall_s = time.monotonic() - began
    clean = scrub(executed)
    html, warnings = render(clean, stage=stage, facts=facts)
    for line in warnings:
        warn(f"[{stage}] warning: {line}")
    write_text(paths.notebook(stage), text_of(clean))
    write_text(paths.html(stage), html)
    if write_facts:
        write_text(paths.run(stage), json.dumps(_facts_of_run(stage, started, wall_s, memory), indent=1) + "\n")
    warn(f"[{stage}] done in {clock(wall_s)}, peak {memory.peak_rss_mib:,.0f} MiB")
    return 0


def params_digest(params: Params) -> str:
    """Twelve hex digits that tell two params.yaml apart by what they say, not by comments or layout."""
    return json_digest(params.model_dump(mode="json"))[:12]


def _facts_of_run(stage: str, started: datetime.datetime, wall_s: float, memory: PeakMemory) -> dict[str, Any]:
    """What the report's cost table reads. Versions and times only: no environment, no command line."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    facts: dict[str, Any] = {"stage": stage, "started": started.isoformat(timespec="seconds")}
    facts |= {"wall_s": round(wall_s, 2), "peak_rss_mib": round(memory.peak_rss_mib, 1)}
    if memory.peak_gpu_mib is not None:
        facts |= {"peak_gpu_mib": round(memory.peak_gpu_mib, 1)}
    return facts | {"versions": versions}


def _report_failure(error: Exception, execution: Execution, path: Path, stage: str, facts: Mapping[str, str]) -> None:
    said = explain(error, execution.notebook, execution.cell_index, path)
    if execution.notebook is not None:
        folder = Path(".scratch") / "failed"
        partial = scrub(execution.notebook)
        html, _ = render(partial, stage=f"{stage} (failed)", facts=facts)
        write_text(folder / f"{stage}.ipynb", text_of(partial))
        write_text(folder / f"{stage}.html", html)
        said.append(f"as far as it came: {folder / stage}.ipynb, {folder / stage}.html#failed")
    warn(f"\n[{stage}] FAILED")
    for line in said:
        warn(line)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
