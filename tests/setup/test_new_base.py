"""A new base is a line of params.yaml, and runs its own stages and the summaries: as DVC resolves the pipeline."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from more_repro.nb.pipeline.settings import stage_settings
from more_repro.params import load_params

PRETRAINED = (
    "  mid:   {pretrain: {hidden_size: 48, intermediate_size: 96, layers: 2, heads: 4, steps: 9, batch_size: 64, "
    "learning_rate: 3.0e-3}}\n"
)
FROM_THE_HUB = "  mid:\n    model: EleutherAI/pythia-410m\n    revision: 9879c9b5f8bea9051dcb0e68dff21493d67e9d4f\n"
FROM_A_FOLDER = "  mid: {model: ./models/mine}\n"
SUMMARIES = {"prune", "calibration", "rjs_alignment", "judging", "regression", "report", "publish"}


@dataclass(frozen=True)
class Stage:
    """All that makes DVC run a stage: its command, what it reads and writes, and what it reads of the params."""

    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    settings: dict[str, Any]


def stages(folder: Path) -> dict[str, Stage]:
    read = stage_settings(load_params(folder / "params.yaml"))
    with Repo(str(folder)) as repo:
        found = {}
        for stage in repo.index.stages:
            deps = [str(dep.def_path) for dep in stage.deps]
            settings = [Path(dep).stem for dep in deps if "/settings/" in dep]
            outs = tuple(sorted(str(out.def_path) for out in stage.outs))
            found[stage.name] = Stage(
                str(stage.cmd), tuple(sorted(deps)), outs, {name: read[name] for name in settings}
            )
        return found


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(root / "dvc.yaml", folder)
    Repo.init(str(folder), no_scm=True).close()
    return folder


@pytest.mark.parametrize("entry", [PRETRAINED, FROM_THE_HUB, FROM_A_FOLDER])
def test_a_new_base_runs_its_own_stages_and_the_summaries(root: Path, project: Path, entry: str) -> None:
    assert len(entry.splitlines()) <= 3
    text = (root / "params.yaml").read_text()
    (project / "params.yaml").write_text(text)
    before = stages(project)
    (project / "params.yaml").write_text(text.replace("bases:\n", f"bases:\n{entry}", 1))
    schemes = load_params(project / "params.yaml").schemes
    after = stages(project)
    own = {"base@mid", "scoring@mid", *(f"reward_model_training@mid-{scheme}" for scheme in schemes)}
    assert set(after) - set(before) == own
    assert set(before) <= set(after)
    changed = {name for name, stage in before.items() if after[name] != stage}
    assert changed <= SUMMARIES
    assert {"prune", "calibration", "judging", "regression", "report"} <= changed


def test_a_new_seed_would_run_more_than_that(root: Path, project: Path) -> None:
    """The comparison sees what a stage reads: it is no empty promise."""
    text = (root / "params.yaml").read_text()
    (project / "params.yaml").write_text(text)
    before = stages(project)
    (project / "params.yaml").write_text(text.replace("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]"))
    after = stages(project)
    assert after["reward_model_training@tiny-more"] != before["reward_model_training@tiny-more"]
    assert after["ingest"] == before["ingest"]
