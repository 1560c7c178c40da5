"""The commands of the README exist, and an environment is picked or refused clearly."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TARGETS = {
    *("reproduce", "test", "check", "env", "doctor", "lab", "use", "publish", "status", "lock", "notebooks", "accept"),
    *("clean", "help"),
}


def make(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(command, cwd=root, env=clean | env, capture_output=True, text=True, timeout=60)


def test_help_lists_every_target(root: Path) -> None:
    listed = re.findall(r"^(\w+) ", make(root, "help").stdout, flags=re.M)
    assert set(listed) == TARGETS


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_is_honoured(root: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "with a space"
    assert f'tools/env "{folder}"' in make(root, "-n", "env", **{name: str(folder)}).stdout


def test_without_one_it_is_the_folder_beside_the_makefile(root: Path) -> None:
    assert f'tools/env "{root}/.venv"' in make(root, "-n", "env").stdout


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


def env_of(project: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`tools/env` of a copy of it in a folder, for an environment whose Python is a stand-in that notes its words."""
    return subprocess.run(
        [str(project / "tools" / "env"), str(folder)], cwd=project, capture_output=True, text=True, check=False
    )


@pytest.fixture
def two_clones(root: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two folders of the project, and one environment for both, all with a space in their names."""
    folder = tmp_path / "an environment"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/usr/bin/env bash\necho "$PWD $*" >>"{folder}/calls"\n[[ $* != *doctor* ]]\n')
    python.chmod(0o755)
    clones = []
    for name in ("one clone", "another clone"):
        (tmp_path / name / "tools").mkdir(parents=True)
        for file in ("tools/env", "requirements.lock", "pyproject.toml"):
            shutil.copy(root / file, tmp_path / name / file)
        clones.append(tmp_path / name)
    return clones[0], clones[1], folder


def test_an_environment_that_is_up_to_date_is_left_alone(two_clones: tuple[Path, Path, Path]) -> None:
    one, _, folder = two_clones
    assert env_of(one, folder).returncode == 0
    calls = (folder / "calls").read_text()
    assert f"{one} -m pip install --quiet --disable-pip-version-check -e . --no-deps" in calls
    assert env_of(one, folder).returncode == 0
    assert (folder / "calls").read_text() == calls
    os.utime(one / "requirements.lock", (2**31, 2**31))
    env_of(one, folder)
    assert (folder / "calls").read_text() != calls


def test_an_environment_of_another_clone_gets_this_ones_package(two_clones: tuple[Path, Path, Path]) -> None:
    one, other, folder = two_clones
    for clone in (one, other, one):
        assert env_of(clone, folder).returncode == 0
        last = (folder / "calls").read_text().splitlines()[-1]
        assert last == f"{clone} -m pip install --quiet --disable-pip-version-check -e . --no-deps"


def test_dvc_sends_nothing(root: Path) -> None:
    text = (root / ".dvc" / "config").read_text()
    for line in ("analytics = false", "check_update = false", "autostage = false", "offline = true"):
        assert line in text


def test_scripts_can_be_run(root: Path) -> None:
    for name in (".ci/run", "tools/env", "tools/reproduce"):
        assert os.access(root / name, os.X_OK)
        subprocess.run(["bash", "-n", str(root / name)], check=True)
