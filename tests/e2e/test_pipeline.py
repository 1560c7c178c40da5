"""The whole pipeline, run for real on the tiny preset in a copy of the repository.

One workspace is shared, and the tests run in the order in which they stand: each continues where the last one ended.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from more_repro.params import resolved_text

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("base", "reward_model_training", "scoring", "sampling", "rjs_alignment", "judging")
RECORDER = Path(__file__).parent / "recorder"
# Read by every stage that makes a path, and by stages that ask whether a sweep is theirs: what it asks is in settings.
NOT_SETTINGS = {"profile", "rm.sweep", "rm.sweep.bases", "rm.sweep.schemes"}


class Workspace:
    """A copy of the repository with the tiny preset and an empty DVC cache."""

    def __init__(self, folder: Path, *, reads: Path | None = None) -> None:
        """reads: where to note the parameters that each stage reads."""
        self.folder = folder
        names = self._git("ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)
        self.use("tiny")
        self._git("init", "-q")
        self._git("add", "-A")
        self._git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "src"), "DVC_NO_ANALYTICS": "1"}
        if reads is not None:
            reads.mkdir()
            self.env |= {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{RECORDER}", "READS_FOLDER": str(reads)}

    def _git(self, *words: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *words], cwd=cwd or self.folder, check=True, capture_output=True, text=True
        ).stdout

    def use(self, preset: str) -> None:
        (self.folder / "params.yaml").write_text(resolved_text(self.folder / "params" / f"{preset}.yaml"))

    def repro(self, *words: str, ok: bool = True) -> str:
        run = subprocess.run(
            ["dvc", "repro", *words], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert (run.returncode == 0) == ok, run.stdout[-3000:] + run.stderr[-6000:]
        return run.stdout

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["dvc", "repro"],
            cwd=self.folder,
            env=self.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def edited(self, name: str) -> Iterator[Path]:
        """A file that gets its text back."""
        path = self.folder / name
        text = path.read_text()
        yield path
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, (name, old)
        (self.folder / name).write_text(text.replace(old, new, 1))

    def table(self, stage: str, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "data" / "tiny" / "tables" / stage / f"{name}.parquet")

    def locked(self) -> dict[str, object]:
        """Hashes of every output but run facts, which hold times."""
        import yaml

        stages = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        return {
            out["path"]: out["md5"]
            for stage in stages.values()
            for out in stage["outs"]
            if "/runs/" not in out["path"] and not out["path"].startswith("reports/") and "/report" not in out["path"]
        }


def stages_run(output: str) -> list[str]:
    """The stages that ran, but for the one that looks at the local files on every run."""
    return [stage for stage in re.findall(r"Running stage '([^']+)'", output) if stage != "inputs"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def uninterrupted(workspace: Workspace) -> dict[str, object]:
    """The first run, killed twice on its way: by kill -9 in the middle of a training, and by Ctrl-C."""
    first = workspace.start()
    log = workspace.folder / "data" / "tiny" / "bases" / "nano"
    deadline = time.monotonic() + 240
    while not log.exists() and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.2)
    time.sleep(6.0)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = workspace.start()
    time.sleep(12.0)
    os.killpg(second.pid, signal.SIGINT)
    second.wait(timeout=60)
    workspace.repro()
    return workspace.locked()


def test_report_stands_after_kills(workspace: Workspace, uninterrupted: dict[str, object]) -> None:
    reports = workspace.folder / "reports"
    summary = json.loads((reports / "summary.json").read_text())
    assert summary["profile"] == "tiny"
    assert {claim["claim"] for claim in summary["claims"]} == {f"C{n}" for n in range(1, 8)}
    for number in range(1, 7):
        assert len(pd.read_csv(reports / "tables" / f"table{number}.csv")) > 0, number
    for name in ("fig1_left", "fig1_middle", "fig1_right", *(f"fig{n}" for n in range(2, 10))):
        assert (reports / "figures" / f"{name}.svg").stat().st_size > 2000, name
        assert (workspace.folder / "data" / "tiny" / "report" / "figures" / f"{name}.csv").exists(), name
    assert _dead_links(reports) == []


def test_the_whole_report_is_laid_out_as_a_site(workspace: Workspace, uninterrupted: dict[str, object]) -> None:
    command = [sys.executable, "-m", "more_repro.nb", "publish", "--site", "site"]
    subprocess.run(command, cwd=workspace.folder, env=workspace.env, check=True, capture_output=True)
    site = workspace.folder / "site"
    assert _dead_links(site) == []
    assert (site / "notebooks" / "reward_model_training-nano-more.html").exists()
    shutil.rmtree(site)


def _dead_links(folder: Path) -> list[str]:
    """Links of a page to files that are not beside it, and to anything outside."""
    links = re.findall(r'(?:href|src)="([^"#]+)"', (folder / "index.html").read_text())
    assert links
    return [link for link in links if not link.startswith("data:") and not (folder / link).is_file()]


def test_second_repro_runs_nothing(workspace: Workspace, uninterrupted: dict[str, object]) -> None:
    assert stages_run(workspace.repro()) == []


def add_sentence(notebook: Path, outputs: list[dict[str, object]]) -> None:
    content = json.loads(notebook.read_text())
    content["cells"][0]["source"].append("\nA sentence of an edit.")
    next(cell for cell in content["cells"] if cell["cell_type"] == "code")["outputs"] = outputs
    notebook.write_text(json.dumps(content))


def test_prose_and_outputs_of_a_heavy_notebook_do_not_retrain(workspace: Workspace) -> None:
    with workspace.edited("notebooks/05_reward_model_training.ipynb") as notebook:
        add_sentence(notebook, [{"output_type": "stream", "name": "stdout", "text": ["x\n"]}])
        assert set(stages_run(workspace.repro())) <= {"code"}


def test_a_sentence_of_a_cheap_notebook_is_on_its_page_at_once(workspace: Workspace) -> None:
    with workspace.edited("notebooks/07_calibration.ipynb") as notebook:
        add_sentence(notebook, [])
        assert set(stages_run(workspace.repro("calibration"))) <= {"code", "calibration"}
        assert "A sentence of an edit." in (workspace.folder / "data/tiny/html/calibration.html").read_text()


def test_a_plotting_edit_does_not_retrain(workspace: Workspace) -> None:
    with workspace.edited("src/more_repro/report/style.py") as module:
        module.write_text(module.read_text() + "\nEDITED = True\n")
        ran = stages_run(workspace.repro())
        assert {"diversity_statistics", "calibration", "regression", "report"} <= set(ran)
        assert not [stage for stage in ran if stage.startswith(HEAVY)], ran


def test_a_removed_grid_item_disappears_from_the_tables(workspace: Workspace) -> None:
    assert set(workspace.table("calibration", "metrics")["seed"]) == {0, 1}
    workspace.edit("params.yaml", "  more:      {weighting: more}", "  random:    {weighting: random}")
    workspace.edit("params.yaml", "schemes: [multitask, more], counts", "schemes: [multitask], counts")
    workspace.edit("params.yaml", "schemes: [multitask, more]", "schemes: [multitask]")
    workspace.edit("params.yaml", "schemes: [multitask, more, averaging", "schemes: [multitask, averaging")
    ran = stages_run(workspace.repro())
    assert "reward_model_training@nano-random" in ran
    assert "reward_model_training@nano-multitask" not in ran  # the sweep asks for the same models of its own
    assert "sampling" not in ran  # which schemes are aligned changes no sample
    schemes = set(workspace.table("calibration", "metrics")["scheme"])
    assert "more" not in schemes
    assert "random" in schemes


def test_going_back_is_restored_from_the_cache(workspace: Workspace, uninterrupted: dict[str, object]) -> None:
    workspace.use("tiny")
    ran = stages_run(workspace.repro())
    assert not [stage for stage in ran if stage.startswith(HEAVY)], ran
    now = workspace.locked()  # dvc.lock keeps the entries of stages that left the grid
    assert {path: now[path] for path in uninterrupted} == uninterrupted


def test_switching_the_profile_and_back_is_restored_from_the_cache(workspace: Workspace) -> None:
    workspace.edit("params.yaml", "profile: tiny ", "profile: other ")
    workspace.repro("ingest")
    assert (workspace.folder / "data" / "other" / "pairs").exists()
    workspace.use("tiny")
    assert stages_run(workspace.repro()) == []


def test_a_new_base_runs_its_own_stages_only(workspace: Workspace) -> None:
    lines = (workspace.folder / "params.yaml").read_text().splitlines()
    entry = next(line for line in lines if line.startswith("  nano:"))
    workspace.edit("params.yaml", entry, f"{entry}\n{entry.replace('nano', 'pico')}")
    workspace.repro("inputs")
    status = subprocess.run(
        ["dvc", "status", "--json"], cwd=workspace.folder, env=workspace.env, capture_output=True, text=True, check=True
    )
    stale = [stage for stage in json.loads(status.stdout) if stage.startswith(("base", "reward_model", "scoring"))]
    assert {"base@pico", "reward_model_training@pico-more", "scoring@pico"} <= set(stale)
    assert all("pico" in stage for stage in stale), stale


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    """A second clone, never killed, and the folder in which its stages noted what they read."""
    folder = tmp_path_factory.mktemp("fresh")
    clone = Workspace(folder / "clone", reads=folder / "reads")
    clone.repro()
    return clone, folder / "reads"


def test_an_uninterrupted_run_gives_the_same_numbers(
    fresh: tuple[Workspace, Path], uninterrupted: dict[str, object]
) -> None:
    """Every table, model and page has the same bytes."""
    assert fresh[0].locked() == uninterrupted


def test_a_stage_reads_no_parameter_that_its_settings_lack(fresh: tuple[Workspace, Path]) -> None:
    """Else a change of it would leave the stage's old numbers in place."""
    clone, reads = fresh
    stages = {path.name.rpartition(".")[0] for path in reads.iterdir()}
    assert {"ingest", "base-nano", "reward_model_training-nano-more", "scoring-nano", "regression"} <= stages
    for path in sorted(reads.iterdir()):
        stage = path.name.rpartition(".")[0]
        settings = json.loads((clone.folder / "data" / "tiny" / "settings" / f"{stage}.json").read_text())
        missing = [key for key in path.read_text().split() if not _holds(settings, key)]
        assert set(missing) <= NOT_SETTINGS, stage


def _holds(settings: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(settings, dict):
            return isinstance(settings, list) and part in settings  # the names of a section alone
        if part not in settings:
            return False
        settings = settings[part]
    return True
