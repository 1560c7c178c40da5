"""Digests of the local files that the params name, so that ingest depends on what they hold.

DVC takes a file of the same size, date and inode for the same file. This stage reads the files whenever the pipeline
runs; where nothing changed it writes the same bytes, and nothing else runs.
"""

import hashlib
import json
from pathlib import Path

from more_repro.params import Params
from more_repro.paths import Paths


def write_inputs(params: Params, paths: Paths) -> dict[str, str]:
    """Write and return source.split -> sha256 of its file's bytes, "" where ingest will find none it can read."""
    digests: dict[str, str] = {}
    seen: dict[Path, str] = {}
    for name, source in params.sources.items():
        if source.reader == "embedded" or source.location is not None:
            continue
        for split, file in (("train", source.train), ("test", source.test)):
            if file is not None:
                path = _found(params.data.folder, file, name, split)
                if path is not None and path not in seen:
                    seen[path] = _sha256(path)
                digests[f"{name}.{split}"] = "" if path is None else seen[path]
    paths.inputs.parent.mkdir(parents=True, exist_ok=True)
    paths.inputs.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    return digests


def _found(folder: str, file: str, source: str, split: str) -> Path | None:
    from more_repro.data.files import local_path  # loads pyarrow, which other studies need not
    from more_repro.data.rows import SourceError

    try:
        return local_path(folder, file, source, split)
    except SourceError:  # ingest says what is wrong, in its notebook
        return None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # gone since, or not ours to read: ingest says so
        return ""
