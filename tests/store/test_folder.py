"""Sealed folders: what is whole, what is damaged, and what leaves them."""

import subprocess
from pathlib import Path

import pytest

from more_repro.store.folder import (
    MANIFEST,
    DamagedFolderError,
    copy_out,
    is_whole,
    seal,
    verify_folder,
    write_folder,
)


def fill(part: Path) -> None:
    (part / "weights").write_bytes(b"1234")
    (part / "facts.json").write_text("{}")


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    write_folder(tmp_path / "made" / "aa", "aa", fill)
    return tmp_path / "made" / "aa"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_sealed_folder_has_its_files_and_its_fingerprint(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(sealed) == ["facts.json", MANIFEST, "weights"]
    assert names(sealed.parent) == ["aa"]
    assert verify_folder(sealed) == "aa"
    assert is_whole(sealed, "aa")
    assert not is_whole(sealed, "bb")
    assert not is_whole(sealed.parent / "none", "aa")
    assert capsys.readouterr().err == "", "neither another fingerprint nor no folder is a damage"


def test_a_folder_that_was_there_is_replaced_whole(sealed: Path) -> None:
    write_folder(sealed, "bb", lambda part: None)
    assert names(sealed) == [MANIFEST]
    assert verify_folder(sealed) == "bb"


def test_a_failure_while_it_is_filled_leaves_the_old_folder(sealed: Path) -> None:
    def fail(part: Path) -> None:
        fill(part)
        (part / "weights").write_bytes(b"half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_folder(sealed, "bb", fail)
    assert verify_folder(sealed) == "aa"
    assert (sealed / "weights").read_bytes() == b"1234"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "weights").write_bytes(b"12"), "weights is missing or has other bytes"),
        (lambda folder: (folder / "weights").write_bytes(b"1235"), "weights is missing or has other bytes"),
        (lambda folder: (folder / "weights").unlink(), "weights is missing or has other bytes"),
        (lambda folder: (folder / MANIFEST).unlink(), "manifest.json: .*No such file"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "manifest.json: "),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "manifest.json: "),
        (lambda folder: (folder / MANIFEST).write_text('{"files": {}}'), "manifest.json: 'fingerprint'"),
    ],
)
def test_a_damage_is_seen_and_named(harm, said, sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm(sealed)
    with pytest.raises(DamagedFolderError, match=said):
        verify_folder(sealed)
    assert not is_whole(sealed, "aa")
    assert f"{sealed}: damaged (" in capsys.readouterr().err


def test_a_folder_is_not_whole_until_it_is_sealed(tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(DamagedFolderError, match=MANIFEST):
        verify_folder(tmp_path)
    seal(tmp_path, "aa")
    seal(tmp_path, "bb")  # the manifest is none of its own files
    assert verify_folder(tmp_path) == "bb"


def test_what_leaves_a_folder_is_a_copy_without_manifest_and_without_what_is_named(sealed: Path) -> None:
    out = sealed.parents[1] / "data" / "policy"
    copy_out(sealed, out, leave_out=("facts.json",))
    assert names(out) == ["weights"]
    assert names(out.parent) == ["policy"]
    assert not (out / "weights").samefile(sealed / "weights"), "DVC may make outputs read-only"
    (out / "weights").write_bytes(b"other")
    assert verify_folder(sealed) == "aa"
    copy_out(sealed, out)
    assert names(out) == ["facts.json", "weights"]
    assert (out / "weights").read_bytes() == b"1234"


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead, running = (tmp_path / f".aa.{process}.7.part" for process in (gone.pid, 1))
    for part in (dead, running):
        part.mkdir()
    write_folder(tmp_path / "bb", "bb", fill)
    assert names(tmp_path) == [running.name, "bb"]
