"""Presets, and `make use`, which never loses an edit."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from more_repro.nb.project.use import use_preset

NAMES = ("tiny", "small", "paper", "own")


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root / "params", tmp_path / "params")
    shutil.copy(root / "params" / "small.yaml", tmp_path / "params.yaml")
    return tmp_path


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in keys(item)}
    return {name for item in value for name in keys(item)} if isinstance(value, list) else set()


def test_small_is_the_committed_study(root: Path) -> None:
    assert (root / "params" / "small.yaml").read_bytes() == (root / "params.yaml").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_one_that_dvc_leaves_out_of_its_run_cache(root: Path, name: str) -> None:
    """DVC 3.67 drops keys `size` and `nfiles`, at any depth, from its run-cache key: it would restore a wrong run."""
    assert not {"size", "nfiles"} & keys(yaml.safe_load((root / "params" / f"{name}.yaml").read_text()))


def test_using_a_preset_shows_the_change_and_keeps_a_copy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_text()
    assert use_preset("tiny", force=False, root=project) == 0
    assert (project / "params.yaml").read_bytes() == (project / "params" / "tiny.yaml").read_bytes()
    assert (project / "params.yaml.bak").read_text() == before
    said = capsys.readouterr().out
    assert "-profile: small" in said
    assert "+profile: tiny" in said


def test_edits_are_not_lost(project: Path) -> None:
    edited = (project / "params.yaml").read_text() + "# my note\n"
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
    assert (project / "params.yaml").read_bytes() == (project / "params" / "own.yaml").read_bytes()
