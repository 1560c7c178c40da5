import subprocess

import pytest
import torch

from more_repro.store.checkpoint import TrainingState, has_checkpoints, load_checkpoint, save_checkpoint


def state(step: int) -> TrainingState:
    return TrainingState(
        step, {"w": torch.full((3,), float(step))}, {"state": {}, "param_groups": [{"params": [0]}]}, {}, {}
    )


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_loaded_is_what_was_saved(tmp_path):
    save_checkpoint(tmp_path / "c", "aa", state(4))
    found = load_checkpoint(tmp_path / "c", "aa")
    assert found is not None
    assert found.step == 4
    assert torch.equal(found.model["w"], torch.full((3,), 4.0))
    assert load_checkpoint(tmp_path / "none", "aa") is None


def test_a_restart_past_damaged_checkpoints_keeps_its_own(tmp_path, capsys):
    folder = tmp_path / "c"
    for step in (8, 10):
        save_checkpoint(folder, "aa", state(step))
        (folder / f"step{step:08d}" / "model.safetensors").write_bytes(b"cut")
    assert load_checkpoint(folder, "aa") is None
    assert capsys.readouterr().err.count("damaged (model.safetensors") == 2
    for step, kept in ((2, ["step00000002"]), (4, ["step00000002", "step00000004"])):
        save_checkpoint(folder, "aa", state(step))
        assert names(folder) == kept
        found = load_checkpoint(folder, "aa")
        assert found is not None
        assert found.step == step


def test_checkpoints_of_another_training_are_moved_aside(tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    for expected in ("checkpoints.0123abcd.old", "checkpoints.0123abcd.old2"):
        save_checkpoint(folder, "0123abcdef", state(4))
        assert load_checkpoint(folder, "other") is None
        assert not has_checkpoints(folder)
        assert expected in capsys.readouterr().err
        kept = load_checkpoint(tmp_path / expected, "0123abcdef")
        assert kept is not None
        assert kept.step == 4


def test_a_scratch_folder_may_delete_them(tmp_path, capsys):
    save_checkpoint(tmp_path / "c", "aa", state(4))
    assert load_checkpoint(tmp_path / "c", "bb", delete_foreign=True) is None
    assert names(tmp_path) == []
    assert "deleted" in capsys.readouterr().err


@pytest.mark.parametrize("name", [".step00000002.{}.7.part", ".other.{}.7.part"])
def test_what_a_killed_process_left_half_written_goes(tmp_path, name):
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead, running = tmp_path / name.format(gone.pid), tmp_path / name.format(1)
    for part in (dead, running):
        part.mkdir()
    save_checkpoint(tmp_path, "aa", state(2))
    assert names(tmp_path) == sorted([running.name, "step00000002"])
