"""Raw rows of a source: from the hub at one commit, or from a local file."""

from collections.abc import Iterator
from typing import Literal

from more_repro.data import files
from more_repro.data.files import Row
from more_repro.data.rows import SourceError
from more_repro.params import Data, Source


def raw_rows(name: str, source: Source, data: Data, split: Literal["train", "test"]) -> Iterator[Row]:
    """Every raw row with where it stands. `source.location` None means the file `source.<split>` of data.folder."""
    part = source.train if split == "train" else source.test
    if source.location is None:
        return files.read_rows(files.local_path(data.folder, part, name, split))
    return _hub_rows(name, source, split, part)


def _hub_rows(name: str, source: Source, split: str, part: str | None) -> Iterator[Row]:
    if part is None:
        raise SourceError(f"params sources.{name}.{split}", split, None, f"a split of {source.location}")
    # Imported here: a study of local files, or of the embedded world, never pays for it.
    import datasets

    # A folder, not a configuration: the pinned revisions hold plain files in one folder per subset.
    loaded = datasets.load_dataset(source.location, data_dir=source.subset, split=part, revision=source.revision)
    for number, row in enumerate(loaded):
        yield f"{source.location}/{part} row {number}", row
