"""A reader, weighting, loss term, judge, base, figure and table are each one new file at most, and an entry in params.

Each recipe is put into a copy of the tree, the files that it touched are counted, and all of them run there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RECIPES = Path(__file__).parent / "recipes"
# Where the one file of each goes; a base has none.
FILES = {
    "reader": "data/sources/readers/votes.py",
    "weighting": "engine/weighting/loss_share.py",
    "loss": "engine/losses/small_margin.py",
    "judge": "alignment/judges/kinds/shorter.py",
    "base": None,
    "figure": "report/figures/kept.py",
    "table": "report/tables/last_loss.py",
}


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def put_in(tree: Path, thing: str) -> None:
    """Follow one recipe: copy its file to its place, and add its entry to params.yaml."""
    file = FILES[thing]
    if file is not None:
        shutil.copy(RECIPES / f"{thing}.py", tree / "src" / "more_repro" / file)
    entry = RECIPES / f"{thing}.yaml"
    if entry.exists():
        params = yaml.safe_load((tree / "params.yaml").read_text(encoding="utf-8"))
        for section, keys in yaml.safe_load(entry.read_text(encoding="utf-8")).items():
            params[section] |= keys
        (tree / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("params.yaml", "dvc.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def touched(tree: Path) -> dict[str, tuple[set[str], set[str]]]:
    """(new files, edited files) of each recipe."""
    found = {}
    for thing in FILES:
        before = contents(tree)
        put_in(tree, thing)
        after = contents(tree)
        assert before.keys() <= after.keys()
        found[thing] = (after.keys() - before.keys(), {name for name in before if after[name] != before[name]})
    return found


@pytest.fixture(scope="module")
def said(tree: Path, touched: object) -> dict[str, dict[str, Any]]:
    """What each recipe does in the copy, which is the only package that the process sees."""
    helpers = [ROOT / "tests" / name for name in ("", "setup", "engine", "alignment", "report")]
    paths = os.pathsep.join(str(path) for path in (tree / "src", *helpers))
    done = subprocess.run(
        [sys.executable, "-c", "import recipe_runs; recipe_runs.main()"], cwd=tree, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads((tree / "recipe_runs.json").read_text())
    assert Path(said.pop("package")).is_relative_to(tree)
    return said


@pytest.mark.parametrize("thing", FILES)
def test_one_new_file_and_no_edited_one_but_params(touched: dict[str, tuple[set[str], set[str]]], thing: str) -> None:
    new, edited = touched[thing]
    assert new == ({f"src/more_repro/{FILES[thing]}"} if FILES[thing] else set())
    assert edited <= {"params.yaml"}
    assert len(new) + len(edited) <= 2


@pytest.mark.parametrize("thing", FILES)
def test_every_recipe_runs(said: dict[str, dict[str, Any]], thing: str) -> None:
    assert said.keys() == FILES.keys()
    assert not isinstance(said[thing].get("error"), str), said[thing]["error"]


def test_the_reader_reads_its_file_and_is_told_by_its_rows(said: dict[str, dict[str, Any]]) -> None:
    assert said["reader"] == {
        "pairs": [["no", "so", 2.0]], "dropped": {"tie": 1}, "format": "forum answers with votes", "detected": True,
    }  # fmt: skip


def test_the_weighting_weighs_the_steps_of_a_training(said: dict[str, dict[str, Any]]) -> None:
    assert len(said["weighting"]["lambdas"]) == 3
    for shares, lambdas in zip(said["weighting"]["shares"], said["weighting"]["lambdas"], strict=True):
        assert lambdas == pytest.approx(shares, rel=1e-5)


def test_the_loss_term_adds_to_the_loss_and_has_the_derivative_of_autograd(said: dict[str, dict[str, Any]]) -> None:
    with_it, without = said["loss"]["first_loss"]
    assert with_it > without
    assert said["loss"]["error"] < 1e-14


def test_the_judge_gives_verdicts_an_identity_and_a_note(said: dict[str, dict[str, Any]]) -> None:
    assert said["judge"]["verdicts"] == [
        ["sft", "p0", "win"], ["sft", "p1", "win"], ["untuned", "p0", "win"], ["untuned", "p1", "tie"],
    ]  # fmt: skip
    assert said["judge"]["identity"] == {"kind": "shorter"}
    assert said["judge"]["note"].startswith("Judge: the shorter response wins.")


def test_the_base_is_pretrained_and_has_its_stages(said: dict[str, dict[str, Any]]) -> None:
    assert (said["base"]["steps"], said["base"]["falls"]) == (4, True)
    assert {"base-mini", "scoring-mini", "reward_model_training-mini-more"} <= set(said["base"]["stages"])


def test_the_figure_is_drawn_and_stands_at_its_place(said: dict[str, dict[str, Any]]) -> None:
    figure = said["figure"]
    assert (figure["rows"], figure["shown"]) == (5, True)
    assert figure["svg"] > 1000
    assert figure["names"][:3] == ["fig1_left", "kept", "fig1_middle"]


def test_the_table_stands_on_the_page(said: dict[str, dict[str, Any]]) -> None:
    assert said["table"]["rows"] > 0
    assert said["table"]["title"]
    assert said["table"]["link"]
