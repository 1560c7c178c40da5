"""Data sets of the Hugging Face hub, each read at one commit."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from more_repro.files.rows import Hasher, InputError, RawRows, Row

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BATCH = 1000  # rows taken from `datasets` at a time


def open_split(location: str, split: str, revision: str | None, key: str, folder: str | None = None) -> RawRows:
    """The rows of one split of a data set; a set that needs code is refused, for `datasets` runs none any more.

    key: of the params that names the set, such as "sources.helpful". folder: of the repository, that holds the set's
    files. Raises InputError for a location that is no hub id, for what the hub and its cache do not have, and where
    another commit was found than was asked for.
    """
    where = f"params {key}"
    if not _HUB_ID.fullmatch(location) or Path(location).exists():
        raise InputError(where, "location", location, "a hub id, and no folder of that name here")
    # Imported here: a study of local files, or of the embedded world, never pays for it.
    import datasets

    try:
        builder = datasets.load_dataset_builder(location, data_dir=folder, revision=revision)
        builder.download_and_prepare()
        loaded = builder.as_dataset(split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        expected = f"split {split!r} of {location} at {revision}, from the hub or its cache"
        raise InputError(where, "location", said, expected) from None
    hasher = hashlib.sha256()
    return RawRows(
        file=f"{location}/{split}",
        container="hub data set",
        rows=_each(loaded, f"{location}/{split}", hasher),
        n_bytes=int(builder.info.download_size or 0),
        hasher=hasher,
        revision=_found_revision(str(builder.hash), str(revision), where),
    )


def _each(loaded: Any, file: str, hasher: Hasher) -> Iterator[Row]:
    number = 0
    for batch in loaded.iter(batch_size=_BATCH):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            hasher.update(json.dumps(row, sort_keys=True, default=str).encode())
            number += 1
            yield f"{file} row {number}", row


def _found_revision(resolved: str, asked: str, where: str) -> str:
    """The commit that was read, beside what was asked for if that is a name.

    resolved: the hash of the builder, which for a hub data set is its commit. Raises InputError if another commit was
    asked for: without a network, `datasets` takes the newest one of its cache, whatever the revision.
    """
    if not _COMMIT.fullmatch(resolved):
        return f"{asked}, not resolved"
    if _COMMIT.fullmatch(asked) and asked != resolved:
        raise InputError(where, "revision", resolved, f"commit {asked}; the cache holds another one")
    return resolved if asked == resolved else f"{resolved}, asked for as {asked}"
