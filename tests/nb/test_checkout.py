"""A stage never runs the code of another folder than its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_notebooks as tiny

from more_repro.nb.__main__ import main
from more_repro.nb.project.checkout import check_checkout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A second folder of the project, in the environment of the first."""
    folder = tiny.project(tmp_path / "clone")
    (folder / "src" / "more_repro").mkdir(parents=True)
    return folder


def test_the_folder_of_the_code_is_taken(root: Path, tmp_path: Path) -> None:
    check_checkout(root)
    check_checkout(tmp_path)  # a folder without code has no other


@pytest.mark.parametrize(
    "words",
    [
        ["run", "notebooks/04_base.ipynb", "--stage", "base"],
        ["digest", "--out-dir", "build/code", "notebooks/04_base.ipynb"],
        ["inputs"],
        ["prune"],
        ["publish"],
    ],
)
def test_a_second_clone_in_the_environment_of_the_first_is_refused(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(clone)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert str(clone / "src" / "more_repro") in said
    assert "make env installs this one" in said
    assert sorted(path.name for path in clone.iterdir()) == ["params.yaml", "src"]


def test_a_kernel_of_jupyterlab_runs_in_the_projects_folder(tmp_path: Path) -> None:
    """`make lab` gives JupyterLab the kernel of the stages; it starts kernels where a notebook lies."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from more_repro.nb.runner.kernel import prepare\n"
        "os.environ |= prepare(Path(sys.argv[1]))\n"
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel(kernel_name='python3', cwd=sys.argv[2])\n"
        "reply = client.execute_interactive('import os; print(os.getcwd())', timeout=60)\n"
        "client.stop_channels(); manager.shutdown_kernel(now=True)\n"
    )
    (tmp_path / "notebooks").mkdir()
    words = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "notebooks")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == str(tmp_path.resolve()), done.stderr
    shutil.rmtree(tmp_path / ".scratch")
