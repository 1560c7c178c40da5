"""One runner for a stage: the second waits, then names the first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from more_repro.nb.project.stage_lock import StageBusy, stage_lock

HOLD = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from more_repro.nb.project.stage_lock import stage_lock\n"
    "with stage_lock(Path(sys.argv[1]), 'x', 0):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_runner_names_the_first_and_a_killed_one_locks_nobody_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "locks" / "a.b.lock"
    first = holder(path, 60)
    for _ in range(2):  # being refused leaves the name where it is
        with (
            pytest.raises(StageBusy, match=f"stage x already runs in process {first.pid} "),
            stage_lock(path, "x", 0.1),
        ):
            pass
    assert f"[x] waits up to 0 s for process {first.pid}" in capsys.readouterr().err
    first.kill()
    first.wait()
    with stage_lock(path, "x", 0):
        assert (tmp_path / "locks" / "a.b.pid").read_text() == str(os.getpid())


def test_a_second_runner_waits_for_the_first(tmp_path: Path) -> None:
    first = holder(tmp_path / "x.lock", 0.5)
    with stage_lock(tmp_path / "x.lock", "x", 30):
        pass
    assert first.wait() == 0
