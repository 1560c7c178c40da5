"""Where a base lies and what its files say, without loading it: light to import."""

import hashlib
import json
from pathlib import Path
from typing import Any

from more_repro.store.atomic import write_text
from more_repro.store.digests import file_digest

_POINTER = "base.json"


def write_pointer(
    out: Path,
    kind: str,
    location: str | None,
    revision: str | None,
    rendering: str = "plain",
    *,
    n_parameters: int,
) -> None:
    """Write out/base.json: a `local` base lies in the folder, a `hub` base at its id and commit, or in another folder.

    n_parameters: of the language model, shared ones counted once.
    """
    pointer = {
        "kind": kind, "location": location, "revision": revision, "rendering": rendering, "n_parameters": n_parameters,
    }  # fmt: skip
    write_text(out / _POINTER, json.dumps(pointer) + "\n")


def origin(path: Path) -> tuple[str, str | None]:
    """What from_pretrained is asked for: a folder, or a hub id with its commit."""
    pointer = _pointer(path)
    if pointer["kind"] == "local":
        return str(path), None
    return str(pointer["location"]), pointer["revision"]


def rendering(path: Path) -> str:
    """How the base's prompts become text: `plain` or `chat_template`."""
    return _pointer(path).get("rendering") or "plain"


def n_parameters(path: Path) -> int:
    """Number of parameters of the language model, as it was counted when the base was made."""
    found = _pointer(path).get("n_parameters")
    if found is None:
        raise ValueError(
            f"{path / _POINTER}: no number of parameters; `dvc repro --force base@{path.name}` counts them"
        )
    return int(found)


def fingerprint(path: Path) -> str:
    """16 hex digits that change with the base and its rendering: the files' bytes, or a hub model's name and commit."""
    pointer = _pointer(path)
    hasher = hashlib.sha256(json.dumps([pointer["location"], pointer["revision"], rendering(path)]).encode())
    folder = Path(pointer["location"] or path)
    if folder.is_dir():
        for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")]):
            if file.name != _POINTER:  # what a model is loaded by stands above
                hasher.update(bytes.fromhex(file_digest(file)))
    return hasher.hexdigest()[:16]


def _pointer(path: Path) -> dict[str, Any]:
    file = Path(path) / _POINTER
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such base; `dvc repro` makes it")
    return json.loads(file.read_text(encoding="utf-8"))
