"""Independent jobs over a few processes: one thread each on CPU, one GPU each where there are GPUs.

The number of workers changes the time a stage takes and never its numbers.
"""

import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from more_repro.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")


def worker_count(n_jobs: int, gpus: bool = True) -> int:
    """As many as there are jobs, GPUs (or CPU cores, also where `gpus` is False), and MORE_REPRO_WORKERS, if set."""
    asked = os.environ.get("MORE_REPRO_WORKERS")
    limit = int(asked) if asked else (_gpus() if gpus else 0) or len(os.sched_getaffinity(0))
    return max(1, min(n_jobs, limit))


def run_jobs(
    function: Callable[[Job], Result] | str,
    jobs: Iterable[Job],
    label: str,
    preload: tuple[str, ...] = (),
    uses_torch: bool = True,
) -> list[Result]:
    """`[function(job) for job in jobs]`, in the jobs' order, over worker processes.

    function: a module-level function, or its name as "package.module:function", which only the workers import: a
    process that hands out jobs for torch starts much faster without it. jobs and results must pickle.
    preload: modules imported once, in the process that the workers are forked from.
    uses_torch: False for jobs on CPU that need no torch; their workers do not pay for importing it.
    A job that raises stops the rest, and its error is raised here. Raises ValueError for a name that is no function's.
    """
    jobs = list(jobs)
    if not jobs:
        return []
    workers = worker_count(len(jobs), uses_torch)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    counter = context.Value("i", 0)
    progress = Progress(label, len(jobs), unit="jobs")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(counter, uses_torch)) as pool:
        futures = {pool.submit(_run, function, job): number for number, job in enumerate(jobs)}
        results: dict[int, Result] = {}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                progress.step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
    return [results[number] for number in range(len(jobs))]


def function_named(name: str) -> Callable[[Any], Any]:
    """The function that "package.module:function" names; imports its module. Raises ValueError where there is none."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"a worker's function is named as 'package.module:function', found {name!r}")
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks one of its own imports
        raise ValueError(f"{name!r} names no worker's function: there is no module {error.name}") from None
    if not callable(function):
        raise ValueError(f"{name!r} names no worker's function: {module} has no function {attribute}")
    return function


def _run(function: Callable[[Job], Result] | str, job: Job) -> Result:
    called = function_named(function) if isinstance(function, str) else function
    return called(job)


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends, so that a killed run leaves nothing behind."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _start_worker(counter, uses_torch: bool) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    die_with_parent()
    if not uses_torch:
        return
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    gpus = _gpus()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number % gpus)
    import torch

    torch.set_num_threads(1)


def _gpus() -> int:
    """GPUs this process may use, without starting CUDA (a forked worker could not use it afterwards)."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    return len([name for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit()])
