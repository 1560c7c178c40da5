"""Raw rows of a source: from the hub at one commit, or from a local file."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from more_repro.data.sources import row_readers
from more_repro.files import local_files
from more_repro.files.rows import Hasher, RawRows, Row, SourceError
from more_repro.params import Data, Source

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BATCH = 1000  # rows taken from `datasets` at a time


def raw_rows(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> RawRows:
    """The rows of a split. `source.location` None means the file `source.<split>` of data.folder."""
    part = source.train if split == "train" else source.test
    if source.location is None:
        return local_files.open_file(local_files.local_path(data.folder, part, name, split), part)
    return _hub_rows(name, source, source.location, split, part)


def _hub_rows(name: str, source: Source, location: str, split: str, part: str | None) -> RawRows:
    where = f"params sources.{name}"
    if part is None:
        raise SourceError(f"{where}.{split}", split, None, f"a split of {location}")
    if not _HUB_ID.fullmatch(location) or Path(location).exists():
        raise SourceError(where, "location", location, "a hub id, and no folder of that name here")
    # Imported here: a study of local files, or of the embedded world, never pays for it.
    import datasets

    # A folder, not a configuration: the pinned revisions hold plain files in one folder per subset.
    reader = row_readers().get(source.reader)
    folder = source.subset if reader is None or reader.subset_is_folder else None
    try:
        builder = datasets.load_dataset_builder(location, data_dir=folder, revision=source.revision)
        builder.download_and_prepare()
        loaded = builder.as_dataset(split=part)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        expected = f"split {part!r} of {location} at {source.revision}, from the hub or its cache"
        raise SourceError(where, "location", said, expected) from None
    hasher = hashlib.sha256()
    return RawRows(
        file=f"{location}/{part}",
        container="hub data set",
        rows=_each(loaded, f"{location}/{part}", hasher),
        n_bytes=int(builder.info.download_size or 0),
        hasher=hasher,
        revision=_revision(str(builder.hash), str(source.revision), where),
    )


def _each(loaded: Any, file: str, hasher: Hasher) -> Iterator[Row]:
    number = 0
    for batch in loaded.iter(batch_size=_BATCH):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            hasher.update(json.dumps(row, sort_keys=True, default=str).encode())
            number += 1
            yield f"{file} row {number}", row


def _revision(resolved: str, asked: str, where: str) -> str:
    """The commit that was read, beside what was asked for if that is a name.

    resolved: the hash of the builder, which for a hub data set is its commit. Raises SourceError if another commit was
    asked for: without a network, `datasets` takes the newest one of its cache, whatever the revision.
    """
    if not _COMMIT.fullmatch(resolved):
        return f"{asked}, not resolved"
    if _COMMIT.fullmatch(asked) and asked != resolved:
        raise SourceError(where, "revision", resolved, f"commit {asked}; the cache holds another one")
    return resolved if asked == resolved else f"{resolved}, asked for as {asked}"
