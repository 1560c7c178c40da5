"""Digests of the local files that the params name, so that ingest depends on what they hold; the judge's name likewise.

DVC takes a file of the same size, date and inode for the same file. This stage reads the files whenever the pipeline
runs; where nothing changed it writes the same bytes, and nothing else runs.
"""

import json
from pathlib import Path

from more_repro.files.local_path import local_path
from more_repro.files.rows import InputError
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.store.atomic import write_text
from more_repro.store.digests import file_digest


def write_inputs(params: Params, paths: Paths) -> dict[str, str]:
    """Write and return source.split -> sha256 of its file's bytes, "" where the reader will find none it can read.

    A local file of align.instructions has the key align.instructions.
    """
    digests: dict[str, str] = {}
    seen: dict[Path, str] = {}
    for key, file in _local_files(params).items():
        path = _found(params.data.folder, file, key)
        if path is not None and path not in seen:
            seen[path] = _sha256(path)
        digests[key] = "" if path is None else seen[path]
    _write(paths.inputs, digests)
    return digests


def _local_files(params: Params) -> dict[str, str]:
    """Names of files under data.folder by what names them in the params."""
    files: dict[str, str | None] = {}
    for name, source in params.sources.items():
        if source.location is None:
            files |= {f"{name}.train": source.train, f"{name}.test": source.test}
    taught = params.align.instructions
    if taught is not None and taught.location is None:
        files["align.instructions"] = taught.train
    return {key: file for key, file in files.items() if file is not None}


def write_judge(params: Params, paths: Paths) -> dict[str, str]:
    """Write and return what names the judge: its kind, and what it is known by, such as model and address of `chat`.

    "" stands for what is not set or not there: the stage judging says so. No key, user, password or query is written.
    """
    from more_repro.alignment.judges.by_kind import find_judge  # loads pandas, which the other commands need not

    kind = params.judge.kind
    named = {"kind": kind} | find_judge(kind).identity(params)
    _write(paths.judge, named)
    return named


def _write(path: Path, named: dict[str, str]) -> None:
    write_text(path, json.dumps(named, indent=1, ensure_ascii=False) + "\n")


def _found(folder: str, file: str | None, key: str) -> Path | None:
    try:
        return local_path(folder, file, key)
    except InputError:  # who reads it says what is wrong, in a notebook
        return None


def _sha256(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:  # gone since, or not ours to read: who reads it says so
        return ""
