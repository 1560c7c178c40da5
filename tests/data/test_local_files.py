import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.data.files import local_path, read_rows
from more_repro.data.rows import SourceError


def rows_of(path):
    return [row for _, row in read_rows(path)]


@given(
    rows=st.lists(st.dictionaries(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"]))), min_size=1)
)
def test_what_json_writes_comes_back(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert rows_of(folder / "a.json") == rows_of(folder / "a.jsonl") == rows_of(folder / "a.jsonl.gz") == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"a\.jsonl:2:7: .*Expecting value"),
        (b'{"a": 1}\n\n{"a": 2}\n', r"a\.jsonl:2:1: .*Expecting value"),
        (b'{"a": 1}\nnull\n', r"a\.jsonl:2: field 'row': found None, expected an object"),
        (b'{"a": 1, "a": 2}\n', r"a\.jsonl:1: field 'a': .*each key once"),
        (b'{"a": NaN}\n', r"a\.jsonl:1: field 'number': found 'NaN', expected a finite number"),
        (b'{"a": 1}\n{"a": "caf\xe9"}\n', r"a\.jsonl:2: field 'bytes': .*UTF-8"),
        (b'{"a": "\\ud800"}\n', r"a\.jsonl:1: field 'JSON': .*whole characters"),
        (b'{"a": "\x00"}\n', r"a\.jsonl:1:8: .*control character"),
        (b"", r"a\.jsonl: field 'file': .*at least one line"),
        (b"[" * 100_000, r"a\.jsonl:1"),
    ],
)
def test_broken_lines_are_located(content, message, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        rows_of(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1},\n {"a" 2}]', r"a\.json:2:7: .*delimiter"),
        (b'[{"a": 1}, 3]', r"a\.json row 2: field 'row': found 3"),
        (b'{"a": 1}', r"expected a list of at least one object"),
        (b"[]", r"expected a list of at least one object"),
        (b'[{"a":\n"\xff"}]', r"a\.json:2: field 'bytes'"),
    ],
)
def test_broken_lists_are_located(content, message, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        rows_of(tmp_path / "a.json")


def test_a_cut_gzip_file_is_refused(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 50)[:-12])
    with pytest.raises(SourceError, match="a whole gzip file"):
        rows_of(tmp_path / "a.jsonl.gz")


def test_an_unknown_ending_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(SourceError, match=r"\.jsonl"):
        rows_of(tmp_path / "a.csv")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert rows_of(tmp_path / "a.jsonl") == [{"a": 1}]


@pytest.mark.parametrize(
    "name", ["../a.jsonl", "sub/../../a.jsonl", "/etc/passwd", "missing.jsonl", "link.jsonl", None]
)
def test_files_outside_the_folder_are_refused(name, tmp_path):
    inside = tmp_path / "own"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    (inside / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(SourceError, match=r"params sources\.mine\.train"):
        local_path(inside, name, "mine", "train")


def test_a_file_in_a_subfolder_is_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_text("{}\n")
    assert local_path(tmp_path, "sub/a.jsonl", "mine", "train") == tmp_path / "sub" / "a.jsonl"
