"""Paths agree with what dvc.yaml declares, stage by stage and file by file."""

from pathlib import Path

import pytest
import yaml

from more_repro.params import load_params
from more_repro.paths import Paths, stage_names

ROOT = Path(__file__).resolve().parents[2]


# Stages that run no notebook.
APART = ("code", "prune", "inputs", "publish")


def resolved_stages(profile: str) -> dict[str, dict]:
    """dvc.yaml with its templates filled from a preset, for the few forms it uses."""
    params = load_params(ROOT / "params" / f"{profile}.yaml")
    raw = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    common = {
        "${profile}": params.profile,
        "${align.policy}": params.align.policy,
    }
    stages: dict[str, dict] = {}
    for name, stage in raw.items():
        if "foreach" in stage:
            items = [(f"{name}-{key}", stage["do"], {"${key}": key}) for key in params.bases]
        elif "matrix" in stage:
            items = [
                (f"{name}-{base}-{scheme}", stage, {"${item.base}": base, "${item.scheme}": scheme})
                for base in params.bases
                for scheme in params.schemes
            ]
        else:
            items = [(name, stage, {})]
        for key, body, own in items:
            text = yaml.safe_dump(body)
            for mark, value in {**common, **own}.items():
                text = text.replace(mark, value)
            stages[key] = yaml.safe_load(text)
    return stages


@pytest.mark.parametrize("profile", ["tiny", "small", "paper", "own"])
def test_every_notebook_stage_of_the_pipeline_is_named(profile: str) -> None:
    params = load_params(ROOT / "params" / f"{profile}.yaml")
    stages = resolved_stages(profile)
    assert tuple(name for name in stages if name not in APART) == stage_names(params)
    for name, stage in stages.items():
        if name not in APART:
            assert f"--stage {name}" in " ".join(stage["cmd"].split())


def test_outputs_are_made_by_paths() -> None:
    params = load_params(ROOT / "params" / "small.yaml")
    paths, stages = Paths(params.profile), resolved_stages("small")
    for name in stage_names(params):
        outs = stages[name]["outs"]
        assert str(paths.notebook(name)) in outs
        assert str(paths.html(name)) in outs
        assert (str(paths.run(name)) in outs) == (name != "report")
        assert all(out.startswith(f"data/{params.profile}/") for out in outs), outs
    expected = {
        "ingest": [paths.corpus, paths.pairs("x", "train").parents[1], paths.table("ingest", "x").parent],
        "data_mixing": [paths.mixture("x", 0).parents[1]],
        "base-tiny": [paths.base("tiny"), paths.table("base-tiny", "x").parent],
        "reward_model_training-tiny-more": [paths.reward_models("tiny", "more"), paths.training_log("tiny", "more")],
        "scoring-small": [paths.scores("small")],
        "report": [paths.report],
    }
    for name, made in expected.items():
        assert {str(path) for path in made} <= set(stages[name]["outs"]), name


def test_nothing_expensive_is_uncached() -> None:
    for name, stage in resolved_stages("small").items():
        uncached = [out for out in stage["outs"] if isinstance(out, dict)]
        assert bool(uncached) == (name in ("prune", "inputs", "publish")), name


@pytest.mark.parametrize("profile", ["tiny", "small"])
def test_whoever_reads_a_folder_of_several_stages_waits_until_it_is_pruned(profile: str) -> None:
    stages = resolved_stages(profile)
    outs = [out for stage in stages.values() for out in stage["outs"] if isinstance(out, str)]
    for name, stage in stages.items():
        folders = [dep for dep in stage.get("deps", []) if any(out.startswith(f"{dep}/") for out in outs)]
        waits = f"data/{profile}/pruned.txt" in stage.get("deps", [])
        assert waits or not folders, (name, folders)


def test_no_stage_depends_on_an_executed_notebook() -> None:
    for name, stage in resolved_stages("small").items():
        assert not [dep for dep in stage.get("deps", []) if dep.startswith("data/") and dep.endswith(".ipynb")], name
