"""The runner on real kernels. Executions are shared: each costs seconds."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_notebooks as tiny

from more_repro.nb.__main__ import main

FULL = (
    "import sys\nimport matplotlib.pyplot as plt\nimport pandas as pd\nfrom more_repro.progress import say",
    "say('halfway 50 %')\nprint('words', base, steps, share, quick)\nprint('more words')",
    "pd.DataFrame({'response': ['<script>alert(1)</script>', '<img src=x onerror=alert(2)>']})",
    "from IPython.display import HTML\n"
    'HTML(\'<img src="https://example.org/x.png"><b onclick="x()">bold</b><script>y()</script>\')',
    "figure, axes = plt.subplots(figsize=(2, 1))\naxes.plot([1, 2])\nplt.show()",
    "object(), [entry for entry in sys.path if entry in ('', '.')]",
)
PROSE = "# Title & more\n\nLet $x_1^2$ be, <script>alert(3)</script> and [a](javascript:alert(4)).\n\n"
PROSE += "$$\\sum_k \\lambda_k = 1$$"
SECRET = "sk-planted-4711"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One full notebook, run twice in two folders of different names."""
    found = []
    for name in ("first", "second"):
        folder = tiny.project(tmp_path_factory.mktemp(name))
        notebook = tiny.write(folder / "notebooks" / "full.ipynb", *FULL, prose=PROSE)
        run = tiny.run(folder, notebook, "full@x", "-p", "steps=4", "-p", "share=1e-6", OPENAI_API_KEY=SECRET)
        assert run.returncode == 0, run.stderr
        found.append(SimpleNamespace(folder=folder, data=folder / "data" / "tiny", stderr=run.stderr))
    return SimpleNamespace(first=found[0], second=found[1])


def test_outputs_lie_where_paths_say(done: SimpleNamespace) -> None:
    for path in ("notebooks/full-x.ipynb", "html/full-x.html", "runs/full-x.json"):
        assert (done.first.data / path).is_file()
    assert not list(done.first.data.rglob("*.part"))


def test_two_runs_give_equal_bytes(done: SimpleNamespace) -> None:
    for path in ("notebooks/full-x.ipynb", "html/full-x.html"):
        assert (done.first.data / path).read_bytes() == (done.second.data / path).read_bytes()


def test_parameters_arrive_in_their_types(done: SimpleNamespace) -> None:
    text = (done.first.data / "notebooks/full-x.ipynb").read_text()
    assert "words tiny 4 1e-06 True\\n" in text


def test_progress_reaches_the_terminal_and_not_the_notebook(done: SimpleNamespace) -> None:
    assert "[full-x] halfway 50 %\n" in done.first.stderr
    notebook = json.loads((done.first.data / "notebooks/full-x.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert len([output for output in outputs if output.get("name") == "stdout"]) == 1
    assert (done.first.folder / ".scratch/tiny/logs/full-x.log").read_text() == "halfway 50 %\n"


def test_the_projects_folder_is_no_place_for_modules(done: SimpleNamespace) -> None:
    assert "<object at 0x…>, []" in (done.first.data / "notebooks/full-x.ipynb").read_text()


def test_run_facts(done: SimpleNamespace) -> None:
    facts = json.loads((done.first.data / "runs/full-x.json").read_text())
    assert facts["stage"] == "full-x"
    assert 0 < facts["wall_s"] < 100
    assert 20 < facts["peak_rss_mib"] < 2000
    assert {"python", "torch", "transformers"} <= set(facts["versions"])
    assert "started" in facts


def test_a_key_in_the_environment_is_written_nowhere(done: SimpleNamespace) -> None:
    for path in done.first.folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_page_stands_alone_and_nothing_in_it_is_live(done: SimpleNamespace) -> None:
    html = (done.first.data / "html/full-x.html").read_text()
    assert tiny.outside_requests(html) == []
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;script&gt;alert(3)" in html
    assert "<b>bold</b>" in html


def test_page_can_be_read_by_everybody(done: SimpleNamespace) -> None:
    html = (done.first.data / "html/full-x.html").read_text()
    for part in ('<html lang="en">', "<title>Title &amp; more</title>", 'href="#content"', '<main id="content">'):
        assert part in html
    for part in ("prefers-color-scheme", "860px", "<details", 'role="region" aria-label="Table"', "<footer>"):
        assert part in html
    assert html.count("<math ") == 2
    assert "<dt>Profile</dt><dd>tiny</dd>" in html


def test_an_image_without_description_is_warned_of(done: SimpleNamespace) -> None:
    assert "an image has no description" in done.first.stderr


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tiny.project(tmp_path_factory.mktemp("failed"))
    cells = ("ready = 1", "x = 2\nassert x == 3, 'x is <b>not</b> three'", "never = 1")
    run = tiny.run(folder, tiny.write(folder / "notebooks" / "bad.ipynb", *cells), "bad")
    return SimpleNamespace(folder=folder, run=run)


def test_a_failing_cell_is_named_in_few_lines(failed: SimpleNamespace) -> None:
    assert failed.run.returncode == 1
    said = failed.run.stderr.strip().splitlines()
    assert len(said) <= 6
    assert "notebooks/bad.ipynb, code cell 3, line 2:" in said
    assert "    assert x == 3, 'x is <b>not</b> three'" in said
    assert "AssertionError: x is <b>not</b> three" in said


def test_a_failed_run_leaves_its_cells_outside_the_outputs(failed: SimpleNamespace) -> None:
    partial = failed.folder / ".scratch" / "failed"
    assert str(Path(".scratch/failed/bad.html")) in failed.run.stderr
    assert "never" in (partial / "bad.ipynb").read_text()
    html = (partial / "bad.html").read_text()
    assert 'id="failed"' in html
    assert "<b>not</b>" not in html
    assert not [path for path in (failed.folder / "data").rglob("*") if path.is_file()]


def test_a_dead_kernel_is_explained(tmp_path: Path) -> None:
    folder = tiny.project(tmp_path)
    notebook = tiny.write(folder / "notebooks" / "dead.ipynb", "import os\nos.kill(os.getpid(), 9)")
    run = tiny.run(folder, notebook, "dead")
    assert run.returncode == 1
    assert "ran out of memory" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "bas=tiny"), "unknown parameter 'bas'; the nearest known one is 'base'"),
        (("-p", "steps=many"), "parameter 'steps' must be int, found 'many'"),
        (("-p", "steps"), "expected name=value"),
        (("-p", "steps=1", "-p", "steps=2"), "given twice"),
    ],
)
def test_wrong_parameters_stop_before_anything_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    notebook = tiny.write(tiny.project(tmp_path) / "n.ipynb", "1")
    monkeypatch.chdir(tmp_path)
    assert main(["run", notebook.name, "--stage", "n", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / ".scratch").exists()


def test_wrong_params_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(tiny.project(tmp_path) / "n.ipynb", "1")
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("profile:", "profil:"))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "n.ipynb", "--stage", "n"]) == 2
    error = capsys.readouterr().err
    assert "the nearest known key is 'profile'" in error
    assert len(error.strip().splitlines()) == 1


SLEEPER = "import os\nimport time\nfrom more_repro.progress import say\nsay(f'kernel {os.getpid()}')\ntime.sleep(120)"


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A running stage and the process id of its kernel."""
    notebook = tiny.write(folder / "sleep.ipynb", SLEEPER)
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            tiny.command(notebook, "sleep"), cwd=folder, stderr=file, stdout=file, start_new_session=True
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"kernel (\d+)", log.read_text())
        if found:
            return process, int(found[1])
        time.sleep(0.1)
    process.kill()
    raise AssertionError(log.read_text())


def _ends(pid: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_kill_leaves_no_kernel_and_no_lock(tmp_path: Path) -> None:
    process, kernel = _start(tiny.project(tmp_path))
    second = tiny.run(tmp_path, tmp_path / "sleep.ipynb", "sleep", "--lock-wait", "0.5")
    assert second.returncode == 2
    assert f"stage sleep already runs in process {process.pid}" in second.stderr
    process.kill()
    process.wait()
    assert _ends(kernel, 5)
    tiny.write(tmp_path / "sleep.ipynb", "1")
    assert tiny.run(tmp_path, tmp_path / "sleep.ipynb", "sleep", "--lock-wait", "0").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_line(tmp_path: Path, number: int) -> None:
    process, kernel = _start(tiny.project(tmp_path))
    process.send_signal(number)
    assert process.wait(20) == 130
    assert _ends(kernel, 5)
    said = (tmp_path / "log").read_text().strip().splitlines()
    assert len(said) == 2
    assert said[1].startswith("[sleep] interrupted after ")
