"""The hub's rows, as far as they depend on no format: commits, errors, and the digest of what was read."""

from types import SimpleNamespace

import datasets
import pytest

from more_repro.files import hub
from more_repro.files.rows import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [{"a": number, "b": [str(number)]} for number in range(2500)]


@pytest.fixture
def asked(monkeypatch):
    """What `datasets` was asked for; it holds ROWS at COMMIT."""
    found = {}

    def load_dataset_builder(path, **options):
        found.update(path=path, **options)
        rows = {"train": datasets.Dataset.from_list(ROWS)}

        def as_dataset(split):
            if split not in rows:
                raise ValueError(f"Unknown split {split}\nand more")
            return rows[split]

        info = SimpleNamespace(download_size=77)
        return SimpleNamespace(hash=COMMIT, info=info, download_and_prepare=lambda: None, as_dataset=as_dataset)

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    return found


def test_rows_come_in_order_with_their_places_and_a_digest_of_them_all(asked):
    opened = hub.open_split("who/what", "train", COMMIT, "sources.s", "folder")
    assert asked == {"path": "who/what", "data_dir": "folder", "revision": COMMIT}
    found = list(opened.rows)
    assert [row for _, row in found] == ROWS
    assert [found[0][0], found[-1][0]] == ["who/what/train row 1", "who/what/train row 2500"]
    assert (opened.file, opened.n_bytes, opened.revision) == ("who/what/train", 77, COMMIT)
    again = hub.open_split("who/what", "train", COMMIT, "sources.s")
    assert len(list(again.rows)) == 2500
    assert again.hasher.hexdigest() == opened.hasher.hexdigest()


def test_a_name_of_a_revision_is_shown_beside_its_commit(asked):
    assert hub.open_split("who/what", "train", "main", "sources.s").revision == f"{COMMIT}, asked for as main"


@pytest.mark.parametrize(
    ("location", "split", "revision", "message"),
    [
        ("who/what", "train", "f" * 40, f"params sources.s: field 'revision': found '{COMMIT}', expected commit fff"),
        ("who/what", "tain", COMMIT, f"field 'location': found 'ValueError: Unknown split tain', .*tain.* at {COMMIT}"),
        ("../what", "train", COMMIT, "params sources.s: field 'location': found '../what', expected a hub id"),
        ("/etc", "train", COMMIT, "expected a hub id, and no folder of that name here"),
        ("here", "train", COMMIT, "expected a hub id, and no folder of that name here"),
    ],
)
def test_what_is_not_there_is_one_located_error(location, split, revision, message, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(InputError, match=message):
        hub.open_split(location, split, revision, "sources.s")
