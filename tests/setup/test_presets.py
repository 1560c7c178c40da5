"""Presets, and `make use`, which never loses an edit."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from more_repro.nb.project.use import use_preset
from more_repro.params import load_params, resolved_text

NAMES = ("tiny", "small", "study", "paper", "own")


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root / "params", tmp_path / "params")
    (tmp_path / "params.yaml").write_text(resolved_text(root / "params" / "small.yaml"))
    return tmp_path


def whole(project: Path, name: str) -> str:
    return resolved_text(project / "params" / f"{name}.yaml")


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in keys(item)}
    return {name for item in value for name in keys(item)} if isinstance(value, list) else set()


def test_every_preset_is_tested(root: Path) -> None:
    assert {path.stem for path in (root / "params").glob("*.yaml")} == set(NAMES)


def test_small_is_the_committed_study(root: Path) -> None:
    assert resolved_text(root / "params" / "small.yaml") == (root / "params.yaml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_and_the_file_made_of_it_are_one_study(root: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "params.yaml").write_text(resolved_text(root / "params" / f"{name}.yaml"))
    assert load_params(tmp_path / "params.yaml") == load_params(root / "params" / f"{name}.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_the_file_made_of_a_preset_has_every_key_that_dvc_reads(root: Path, name: str) -> None:
    """DVC reads params.yaml itself, so a default of ours is no value for it."""
    params = yaml.safe_load(resolved_text(root / "params" / f"{name}.yaml"))
    asked = set(re.findall(r"\$\{([a-z_.]+)\}", (root / "dvc.yaml").read_text())) - {"key", "item.base", "item.scheme"}
    assert {"profile", "bases", "schemes", "align.policy"} <= asked
    for key in asked:
        value: Any = params
        for part in key.split("."):
            assert part in value, key
            value = value[part]


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_one_that_dvc_leaves_out_of_its_run_cache(root: Path, name: str) -> None:
    """DVC 3.67 drops keys `size` and `nfiles`, at any depth, from its run-cache key: it would restore a wrong run."""
    assert not {"size", "nfiles"} & keys(yaml.safe_load(resolved_text(root / "params" / f"{name}.yaml")))


def test_using_a_preset_shows_the_change_and_keeps_a_copy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_text()
    assert use_preset("tiny", force=False, root=project) == 0
    assert (project / "params.yaml").read_text() == whole(project, "tiny")
    assert (project / "params.yaml.bak").read_text() == before
    said = capsys.readouterr().out
    assert "-profile: small" in said
    assert "+profile: tiny" in said


def test_every_preset_gives_way_to_every_other(project: Path) -> None:
    for name in NAMES:
        assert use_preset(name, force=False, root=project) == 0
        assert (project / "params.yaml").read_text() == whole(project, name)


def test_a_broken_preset_of_ones_own_stops_no_other(project: Path) -> None:
    (project / "params" / "mine.yaml").write_text("extends: gone\n")
    assert use_preset("tiny", force=False, root=project) == 0
    with pytest.raises(ValueError, match=r"mine\.yaml: extends 'gone', and there is no gone\.yaml beside it"):
        use_preset("mine", force=False, root=project)


def test_edits_are_not_lost(project: Path) -> None:
    edited = (project / "params.yaml").read_text().replace("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    (project / "params.yaml").write_text(edited)
    with pytest.raises(ValueError, match="holds edits that are in no preset"):
        use_preset("tiny", force=False, root=project)
    assert (project / "params.yaml").read_text() == edited
    assert use_preset("tiny", force=True, root=project) == 0
    assert (project / "params.yaml.bak").read_text() == edited


def test_an_unknown_preset_is_named_with_the_known_ones(project: Path) -> None:
    with pytest.raises(ValueError, match="no preset 'tiney'; there are own, paper, small, study, tiny"):
        use_preset("tiney", force=False, root=project)


def test_a_missing_params_file_is_made(project: Path) -> None:
    (project / "params.yaml").unlink()
    use_preset("own", force=False, root=project)
    assert (project / "params.yaml").read_text() == whole(project, "own")
