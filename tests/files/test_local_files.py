import csv
import gzip
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.files.local_files import open_file
from more_repro.files.local_path import local_path
from more_repro.files.rows import InputError


def rows_of(path, *json_columns):
    """The rows of a file, the first that cannot be read being raised."""
    rows = []
    for _, row in open_file(path, json_columns=set(json_columns).intersection).rows:
        if isinstance(row, InputError):
            raise row
        rows.append(row)
    return rows


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), min_size=1)


@given(rows=st.lists(st.dictionaries(st.text(), TEXT), min_size=1))
def test_what_json_writes_comes_back(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert rows_of(folder / "a.json") == rows_of(folder / "a.jsonl") == rows_of(folder / "a.jsonl.gz") == rows


@settings(deadline=None, max_examples=40)  # the first example imports the readers
@given(rows=st.lists(st.tuples(MESSAGES, MESSAGES), min_size=1, max_size=4))
def test_messages_come_back_from_parquet_csv_and_json(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    objects = [{"chosen": chosen, "rejected": rejected} for chosen, rejected in rows]
    pq.write_table(pa.Table.from_pylist(objects), folder / "a.parquet")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["chosen", "rejected"])
        writer.writeheader()
        writer.writerows({key: json.dumps(value) for key, value in row.items()} for row in objects)
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    for name in ("a.parquet", "a.csv", "a.csv.gz"):
        assert rows_of(folder / name) == objects


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_plain_texts_come_back_from_csv(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("query", "note"), *rows])
    assert rows_of(path) == [{"query": query, "note": note} for query, note in rows]


def test_cells_of_columns_that_hold_no_text_are_json(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,score\n"[""a"", ""b""]","[1, 0.5]"\n')
    assert rows_of(path, "text", "score") == [{"text": ["a", "b"], "score": [1, 0.5]}]
    assert rows_of(path, "score", "other") == [{"text": '["a", "b"]', "score": [1, 0.5]}]
    path.write_text("text,rank,deleted\n2,,False\n3,0.0,True\n")
    expected = [{"text": "2", "rank": None, "deleted": False}, {"text": "3", "rank": 0, "deleted": True}]
    assert rows_of(path, "rank", "deleted") == expected
    path.write_text("text,rank\n2,x\n")
    with pytest.raises(InputError, match=r"a\.csv:2: field 'rank': found 'x', expected JSON: a value"):
        rows_of(path, "rank")
    path.write_text("prompt,chosen,rejected\n[1] says,[ok],{}\n")
    assert rows_of(path) == [{"prompt": "[1] says", "chosen": "[ok]", "rejected": "{}"}]


def test_where_a_row_stands_is_told(tmp_path):
    (tmp_path / "a.csv").write_text('query,note\n"two\nlines",x\nnext,y\n')
    assert [where.rpartition(":")[2] for where, _ in open_file(tmp_path / "a.csv").rows] == ["2", "4"]
    pq.write_table(pa.table({"a": range(3000)}), tmp_path / "a.parquet")
    last = [where for where, _ in open_file(tmp_path / "a.parquet").rows][-1]
    assert last == f"{tmp_path / 'a.parquet'} row 3000"


@pytest.mark.parametrize(
    ("name", "content", "container"),
    [
        ("a.json", b' \n[{"a": 1}]', "JSON list"),
        ("a.ndjson", b'{"a": 1}', "JSON Lines"),
        ("a.txt", b'{"a": 1}', "JSON Lines"),
        ("a", b'[{"a": 1}]', "JSON list"),
        ("a.csv", b"query\nb\n", "CSV"),
        ("a.data", b"query,note\r\nb,c\r\n", "CSV"),
        ("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n', "JSON Lines"),
        ("a.gz", gzip.compress(b'{"a": 1}', mtime=0), "JSON Lines, gzip"),
    ],
)
def test_the_content_tells_the_container(name, content, container, tmp_path):
    (tmp_path / name).write_bytes(content)
    opened = open_file(tmp_path / name)
    assert opened.container == container
    assert len(list(opened.rows)) == 1
    assert (opened.n_bytes, opened.hasher.hexdigest()) == (len(content), hashlib.sha256(content).hexdigest())
    assert set(rows_of(tmp_path / name)[0]) <= {"a", "query", "note"}


def test_rows_behind_a_broken_one_are_still_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \nnull\n{"a": NaN}\n{"a": 1, "a": 2}\n{"a": 5}\n')
    found = [row for _, row in open_file(tmp_path / "a.jsonl").rows]
    assert [row for row in found if isinstance(row, dict)] == [{"a": 1}, {"a": 5}]
    (tmp_path / "a.json").write_text('[{"a": 1}, 3, {"a": NaN}, {"a": "\\ud800"}, {"a": 1, "a": 2}, {"a": 5}]')
    found = [row for _, row in open_file(tmp_path / "a.json").rows]
    assert [row for row in found if isinstance(row, dict)] == [{"a": 1}, {"a": 5}]
    (tmp_path / "a.csv").write_text("query,note\n1,2\n1,2,3\n5,6\n")
    assert [isinstance(row, dict) for _, row in open_file(tmp_path / "a.csv").rows] == [True, False, True]


def test_a_file_in_a_subfolder_is_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_text("{}\n")
    assert local_path(tmp_path, "sub/a.jsonl", "sources.mine.train") == tmp_path / "sub" / "a.jsonl"


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.jsonl", b'\n{"a": 1}\n\n \r\n{"a": 2}\n\n', ["2", "5"]),
        ("a.csv", b"query,note\n\n1,2\n \n3,4\n\n", ["3", "5"]),
        ("a.data", b"\r\nquery,note\r\n1,2\r\n\r\n", ["3"]),
    ],
)
def test_blank_lines_are_no_rows_and_keep_the_numbers(name, content, places, tmp_path):
    (tmp_path / name).write_bytes(content)
    found = list(open_file(tmp_path / name).rows)
    assert [where.rpartition(":")[2] for where, _ in found] == places
    assert all(isinstance(row, dict) for _, row in found)


def test_a_cell_without_a_prompt_is_none(tmp_path):
    (tmp_path / "a.csv").write_text("prompt,chosen,rejected\n,a b,\n")
    assert rows_of(tmp_path / "a.csv") == [{"prompt": None, "chosen": "a b", "rejected": ""}]


def test_a_file_is_named_as_the_params_name_it(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n")
    assert open_file(tmp_path / "a.jsonl", "sub/a.jsonl").file == "sub/a.jsonl"
