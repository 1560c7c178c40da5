"""Sealed folders: files with a manifest of their sha256 and the fingerprint of what they depend on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from more_repro import progress
from more_repro.store.atomic import part_of, write_text
from more_repro.store.digests import file_digest

MANIFEST = "manifest.json"


class DamagedFolderError(ValueError):
    """A file of a sealed folder is missing or does not have the bytes that were written."""


def write_folder(target: Path, fingerprint: str, fill: Callable[[Path], None]) -> None:
    """Make a sealed folder under a temporary name, then rename it into place; `fill` writes its files.

    What processes that are gone left half written beside it is removed.
    """
    _drop_leftovers(target.parent)
    part = part_of(target)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    seal(part, fingerprint)
    _put(part, target)


def seal(folder: Path, fingerprint: str) -> None:
    """Write the manifest of the files that are in a folder; until then the folder is not whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    write_text(folder / MANIFEST, json.dumps({"fingerprint": fingerprint, "files": files}, indent=1))


def verify_folder(path: Path) -> str:
    """Check every file of a folder against its manifest and return the fingerprint. Raises DamagedFolderError."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files, fingerprint = dict(manifest["files"]), str(manifest["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFolderError(f"{MANIFEST}: {error}") from None
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or file_digest(file) != expected:
            raise DamagedFolderError(f"{name} is missing or has other bytes than were written")
    return fingerprint


def is_whole(path: Path, fingerprint: str) -> bool:
    """Whether a sealed folder is there, undamaged, and of this fingerprint; reports a damaged one."""
    if not path.is_dir():
        return False
    try:
        return verify_folder(path) == fingerprint
    except DamagedFolderError as error:
        progress.say(f"{path}: damaged ({error}); it is made again")
        return False


def copy_out(kept: Path, out: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Copy a sealed folder to its place among a stage's outputs, without its manifest and the files named.

    A copy, never a link: DVC takes outputs into its cache and may make them read-only.
    """
    part = part_of(out)
    shutil.rmtree(part, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(kept, part, ignore=shutil.ignore_patterns(MANIFEST, *leave_out))
    _put(part, out)


def _put(part: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _drop_leftovers(folder: Path) -> None:
    """Remove .<name>.<process>.<thread>.part where no process has that number any more."""
    for part in folder.glob(".*.part"):
        process = part.name.split(".")[-3]
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(part, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 asks, and sends nothing
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
