"""The commands of the README exist, and an environment is picked or refused clearly."""

import os
import re
import subprocess
from pathlib import Path

import pytest

TARGETS = ("reproduce", "test", "check", "env", "doctor", "use", "lock", "deps", "accept", "clean", "help")


def make(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(command, cwd=root, env=clean | env, capture_output=True, text=True, timeout=60)


def test_help_lists_every_target(root: Path) -> None:
    listed = re.findall(r"^(\w+) ", make(root, "help").stdout, flags=re.M)
    assert set(TARGETS) <= set(listed)


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_is_honoured(root: Path, tmp_path: Path, name: str) -> None:
    assert f"tools/env {tmp_path}" in make(root, "-n", "env", **{name: str(tmp_path)}).stdout


def test_without_one_it_is_the_folder_beside_the_makefile(root: Path) -> None:
    assert f"{root}/.venv/.more-repro-env" in make(root, "-pn", "help").stdout


def test_no_suitable_python_is_a_clear_error(root: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    old = tools / "python3"
    old.write_text("#!/usr/bin/env bash\nexit 1\n")
    old.chmod(0o755)
    command = [str(root / "tools" / "env"), str(tmp_path / "venv")]
    run = subprocess.run(command, cwd=root, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "no Python 3.11 or 3.12 found" in run.stderr
    assert not (tmp_path / "venv").exists()


def test_dvc_sends_nothing(root: Path) -> None:
    text = (root / ".dvc" / "config").read_text()
    for line in ("analytics = false", "check_update = false", "autostage = false", "offline = true"):
        assert line in text


def test_scripts_can_be_run(root: Path) -> None:
    for name in (".ci/run", "tools/env", "tools/reproduce"):
        assert os.access(root / name, os.X_OK)
        subprocess.run(["bash", "-n", str(root / name)], check=True)
