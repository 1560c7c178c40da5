"""Workers: same results in the same order, errors raised here, nothing left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from more_repro.workers import function_named, run_jobs, worker_count


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"negative: {number}")
    return number * number


def threads(_: int) -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_results_come_in_the_order_of_the_jobs(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("MORE_REPRO_WORKERS", workers)
    assert run_jobs(square, range(7), "squares") == [n * n for n in range(7)]


def test_no_jobs_start_no_process() -> None:
    assert run_jobs(square, [], "squares") == []


def test_a_failing_job_raises_its_own_error() -> None:
    with pytest.raises(ValueError, match="negative: -3"):
        run_jobs(square, [1, -3, 2], "squares")


def test_a_function_may_be_named_and_is_imported_by_the_workers_alone(tmp_path: Path) -> None:
    (tmp_path / "only_in_workers.py").write_text("def double(number):\n    return 2 * number\n")
    script = tmp_path / "by_name.py"
    script.write_text(
        "import sys\n"
        "from more_repro.workers import run_jobs\n"
        "if __name__ == '__main__':\n"
        "    print(run_jobs('only_in_workers:double', [1, 2, 3], 'doubles', uses_torch=False))\n"
        "    print('only_in_workers' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["[2, 4, 6]", "False"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json.dumps", "named as 'package.module:function', found 'json.dumps'"),
        ("json:", "named as 'package.module:function', found 'json:'"),
        ("json:no_such", "'json:no_such' names no worker's function: json has no function no_such"),
        ("json:__name__", "json has no function __name__"),
        ("json.nowhere:dumps", "there is no module json.nowhere"),
    ],
)
def test_a_name_that_is_no_functions_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        function_named(name)
    with pytest.raises(ValueError, match=re.escape(message)):
        run_jobs(name, [1], "jobs")


def test_what_a_named_module_itself_lacks_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacks_something.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        function_named("lacks_something:f")


def test_each_worker_has_one_thread() -> None:
    assert run_jobs(threads, [0, 1], "threads", preload=("torch",)) == [1, 1]


def test_worker_count_is_bounded_by_jobs_and_by_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORE_REPRO_WORKERS", "3")
    assert worker_count(2) == 2
    assert worker_count(9) == 3
    monkeypatch.delenv("MORE_REPRO_WORKERS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert 1 <= worker_count(100) <= len(os.sched_getaffinity(0))


def test_jobs_without_torch_do_not_import_it(tmp_path: Path) -> None:
    """In a process of its own: the server that workers are forked from keeps what earlier jobs here preloaded."""
    script = tmp_path / "without_torch.py"
    script.write_text(
        "import sys\n"
        "from more_repro.workers import run_jobs\n"
        "def has_torch(_):\n"
        "    return 'torch' in sys.modules\n"
        "if __name__ == '__main__':\n"
        "    print(run_jobs(has_torch, [0, 1], 'modules', uses_torch=False))\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[False, False]"
