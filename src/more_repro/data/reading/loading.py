"""Raw rows of a source: from the hub at one commit, or from a local file."""

from typing import Literal

from more_repro.data.sources import columns_of_json, row_readers
from more_repro.files import hub
from more_repro.files.local_files import open_file
from more_repro.files.local_path import local_path
from more_repro.files.rows import InputError, RawRows
from more_repro.params import Data, Source


def raw_rows(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> RawRows:
    """The rows of a split. `source.location` None means the file `source.<split>` of data.folder."""
    part, key = (source.train if split == "train" else source.test), f"sources.{name}"
    if source.location is None:
        return open_file(local_path(data.folder, part, f"{key}.{split}"), part, columns_of_json)
    if part is None:
        raise InputError(f"params {key}.{split}", split, None, f"a split of {source.location}")
    # A folder, not a configuration: the pinned revisions hold plain files in one folder per subset.
    reader = row_readers().get(source.reader)
    folder = source.subset if reader is None or reader.subset_is_folder else None
    return hub.open_split(source.location, part, source.revision, key, folder)
