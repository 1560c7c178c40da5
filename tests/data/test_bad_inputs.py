"""Every kind of broken input gives one error that says where, in which field, what was found and what was expected."""

import gzip
import json
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from source_params import a_source, some_data

from more_repro.data.reading.read_source import read_split
from more_repro.files.local_files import open_file
from more_repro.files.rows import InputError
from more_repro.params import ParamsError, load_params, resolved_text


def talk(prompt, response):
    return f"\n\nHuman: {prompt}\n\nAssistant: {response}"


PAIR = {"chosen": talk("q", "a"), "rejected": talk("q", "b")}
SCORED = {"text": [talk("q", "a"), talk("q", "b")], "score": [1.0, 0.0]}
SAID = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
CHAT = {"chosen": SAID, "rejected": [SAID[0], {"role": "assistant", "content": "b"}]}

ROBOT = [{"role": "robot", "content": "x"}]
TALK = {"chosen": "x y", "rejected": "x z"}


def lines(*rows) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def listed(*rows) -> bytes:
    return f"[{', '.join(row if isinstance(row, str) else json.dumps(row) for row in rows)}]".encode()


def parquet(*rows) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink)
    return sink.getvalue().to_pybytes()


SEEN_TWICE = pa.StructArray.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
PYTHON = f'chosen,rejected\n"{SAID}","{SAID}"\n'.encode()
DEEP_NAN = '{"a": {"b": [[1], [NaN]], "c": {}}, "d": {"e": 1}}'


def with_score(text: str) -> str:
    return json.dumps(SCORED).replace("1.0", text)


# what is wrong: file name, content, place after the file's name, field, found, expected
CASES = {
    "a line is cut": ("a.jsonl", lines(PAIR)[:-1] + b'\n{"chosen": "x', ":2:12", "JSON", "", "closing quote"),
    "a value is no text": ("a.jsonl", lines(PAIR, PAIR | {"chosen": 3}), ":2", "chosen", "3", "text"),
    "a key is missing": ("a.jsonl", lines(PAIR, {"chosen": "x"}), ":2", "rejected", "['chosen']", "is missing"),
    "a row is null": ("a.jsonl", lines(PAIR, "null"), ":2", "row", "None", "an object"),
    "the first row is null": ("a.jsonl", lines("null", PAIR), ":1", "row", "None", "an object"),
    "a row is a list": ("a.json", listed(SCORED, [1, 2]), " row 2", "row", "[1, 2]", "an object"),
    "a score is NaN": ("a.json", listed(SCORED, with_score("NaN")), " row 2", "score", "'NaN'", "a finite number"),
    "a score is infinite": ("a.json", listed(with_score("1e999")), " row 1", "score", "inf", "a finite number"),
    "a score is text": ("a.json", listed(with_score('"1"')), " row 1", "score", "'1'", "a finite number"),
    "a byte is no UTF-8": ("a.jsonl", lines(PAIR) + b'{"chosen": "caf\xe9"}\n', ":2", "bytes", r"b'\xe9'", "UTF-8"),
    "half a surrogate": ("a.jsonl", lines(r'{"chosen": "\ud800", "rejected": ""}'), ":1", "chosen", "", "characters"),
    "the file is empty": ("a.jsonl", b"", "", "file", "'nothing'", "at least one row"),
    "the file is blank": ("a.json", b" \n", "", "file", "'nothing'", "at least one row"),
    "the list is empty": ("a.json", b"[]", "", "rows", "0", "at least one row"),
    "a row has one side": ("a.json", listed(SCORED | {"text": [talk("q", "a")]}), " row 1", "text", "", "at least 2"),
    "a key stands twice": ("a.jsonl", lines(PAIR, '{"chosen": "a", "chosen": "b"}'), ":2", "chosen", "", "key once"),
    "the format is unknown": ("a.jsonl", lines({"q": 1}), ":1", "format", "keys q", "rows of one known format"),
    "the list is cut": ("a.json", listed(SCORED, SCORED)[:-9], ":1:", "JSON", "", "the closing bracket"),
    "the list goes on": ("a.json", listed(SCORED) + b" x", ":1:", "JSON", "'x'", "the end of the file"),
    "the gzip file is cut": ("a.jsonl.gz", gzip.compress(lines(PAIR) * 50)[:-12], "", "file", "", "a whole gzip file"),
    "no gzip file at all": ("a.jsonl.gz", lines(PAIR), "", "container", "'no gzip file'", "gzip, as the name says"),
    "gzip without its name": ("a.jsonl", gzip.compress(lines(PAIR)), "", "container", "'gzip'", "ends in .gz"),
    "a list named lines": ("a.jsonl", listed(PAIR), "", "container", "'JSON list'", "JSON Lines, as the name says"),
    "lines named a list": ("a.json", lines(PAIR), "", "container", "'JSON Lines'", "JSON list, as the name says"),
    "Parquet named CSV": ("a.csv", parquet(PAIR), "", "container", "'Parquet'", "CSV, as the name says"),
    "none of the containers": ("a.bin", b"\x00\x01\x02", "", "container", "", "a JSON list '[..', JSON Lines"),
    "a CSV row is ragged": ("a.csv", b"chosen,rejected\na,b,c\n", ":2", "row", "'3 cells'", "2 cells, as in"),
    "a CSV quote is open": ("a.csv", b'chosen,rejected\n"a,b\n', ":2", "CSV", "unexpected end", "closed quotes"),
    "a quote is open for long": ("a.csv", b'chosen,rejected\na,b\n"a,b\n\nc\n', ":3", "CSV", "", "read on to line 5"),
    "CSV of Python lists": ("a.csv", PYTHON, ":2", "chosen", "[{'role'", "messages as JSON"),
    "CSV of array items": ("a.csv", PYTHON.replace(b"[{", b"[\n {"), ":2", "chosen", "'role'", "messages as JSON"),
    "CSV with semicolons": ("a.csv", b"chosen;rejected\na;b\n", ":1", "header", "'chosen;rejected'", "not semicolons"),
    "TSV": ("a.tsv", b"chosen\trejected\na\tb\n", ":1", "header", "", "not tabs"),
    "a CSV name is empty": ("a.csv", b"chosen,rejected,\na,b,c\n", ":1", "header", "", "of column 3 is empty"),
    "a CSV byte is no UTF-8": ("a.csv", b"chosen,rejected\na,caf\xe9\n", ":2", "bytes", r"b'\xe9'", "UTF-8"),
    "a header is no UTF-8": ("a.csv", b"chosen,rejected,\xe9\na,b,c\n", ":1", "bytes", r"b'\xe9'", "UTF-8"),
    "a list byte is no UTF-8": ("a.json", listed(PAIR, PAIR)[:-3] + b'\xe9"}]', " row 2", "bytes", r"b'\xe9'", "UTF-8"),
    "UTF-16": ("a.json", listed(PAIR).decode().encode("utf-16"), ":1:1", "bytes", r"b'\xff\xfe'", "UTF-8"),
    "a NaN deep in a row": ("a.json", listed(DEEP_NAN), " row 1", "b", "'NaN'", "a finite number"),
    "a value is deep": ("a.jsonl", lines('{"a":' * 10**5), ":1", "JSON", "{", "not nested so deep"),
    "the format of a later row": ("a.jsonl", lines("3", {"q": 1}), ":2", "format", "keys q", "one known format"),
    "a CSV cell is no JSON": ("a.csv", b"text,score\nx,1\n", ":2", "text", "'x'", "JSON: a value"),
    "CSV names a column twice": ("a.csv", b"chosen,chosen\na,b\n", ":1", "header", "['chosen']", "different names"),
    "the Parquet file is cut": ("a.parquet", parquet(PAIR)[:-30], "", "file", "", "a whole Parquet file"),
    "a Parquet cell is null": ("a.parquet", parquet(PAIR, {"chosen": "x"}), " row 2", "rejected", "None", "text"),
    "more texts than scores": ("a.json", listed(SCORED | {"score": [1, 0, 2]}), " row 1", "score", "", "2 numbers"),
    "formats are mixed": ("a.jsonl", lines(PAIR, PAIR, SCORED), ":3", "format", "'text_score'", "hh, as the other"),
    "forms are mixed": ("a.jsonl", lines(CHAT, CHAT | {"prompt": "q"}), ":2", "format", "explicit", "implicit prompt"),
    "a role is unknown": ("a.json", listed(CHAT | {"chosen": ROBOT}), " row 1", "chosen.role", "robot", "one of"),
    "messages are no list": ("a.json", listed(CHAT | {"rejected": "b"}), " row 1", "rejected", "'b'", "a list of"),
    "a text has no turns": ("a.jsonl", lines(PAIR, PAIR, TALK), ":3", "transcript", "'x y'", "turns"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_broken_files_give_one_located_error(case, tmp_path):
    name, content, place, field, found, expected = CASES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_split("mine", a_source(train=name), some_data(tmp_path), "train")
    error = caught.value
    assert error.where.removeprefix(str(tmp_path / name)).startswith(place)
    assert error.where.startswith((str(tmp_path / name), name))
    assert error.field == field
    assert found in str(error)
    assert expected in error.expected
    assert str(error).count("field '") == 1, "one error, not a chain"


def test_a_parquet_value_that_python_cannot_hold(tmp_path):
    texts = {"chosen": ["a b", "a d"], "rejected": ["a c", "a e"]}
    pq.write_table(pa.table(texts | {"seen": pa.array([1, 10**8], pa.date32())}), tmp_path / "a.parquet")
    rows, facts = read_split("mine", a_source(train="a.parquet"), some_data(tmp_path), "train")
    assert (len(rows.pairs), facts.n_rows) == (2, 2)
    pq.write_table(pa.table({"chosen": ["a b"], "rejected": ["a c"], "seen": SEEN_TWICE}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet row 1: field 'seen'"):
        read_split("mine", a_source(train="a.parquet"), some_data(tmp_path), "train")


@pytest.mark.parametrize(("name", "bad"), [("a.jsonl", b'{"chosen": "caf\xe9"}\n'), ("a.csv", b"x,caf\xe9\n")])
def test_a_byte_that_is_no_text_costs_its_row_alone(name, bad, tmp_path):
    good = lines(TALK) if name == "a.jsonl" else b"x y,x z\n"
    (tmp_path / name).write_bytes((b"" if name == "a.jsonl" else b"chosen,rejected\n") + good + bad + good)
    rows, facts = read_split("mine", a_source(train=name), some_data(tmp_path, unreadable_rows=1), "train")
    assert (len(rows.pairs), facts.n_rows, rows.dropped) == (2, 3, {"unreadable": 1})


def test_a_file_that_is_gone_or_locked_is_one_error(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv: field 'file': found 'No such file"):
        open_file(tmp_path / "gone.csv")


def test_a_key_given_twice_among_many_is_found_at_once(tmp_path):
    row = ", ".join(f'"k{number}": 1' for number in range(50_000)) + ', "k49999": 2'
    (tmp_path / "a.jsonl").write_text(f"{{{row}}}\n")
    started = time.perf_counter()
    ((_, found),) = open_file(tmp_path / "a.jsonl").rows
    assert (found.field, time.perf_counter() - started < 2) == ("k49999", True)


@pytest.mark.parametrize(
    "name",
    [
        "a\0b",
        "n" * 300,
        "loop",
        "../a.jsonl",
        "sub/../../a.jsonl",
        "/etc/passwd",
        "missing.jsonl",
        "link.jsonl",
        "sub",
        None,
    ],
)
def test_files_outside_the_folder_are_refused(name, tmp_path):
    inside = tmp_path / "own"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.jsonl").write_bytes(lines(PAIR))
    (inside / "loop").symlink_to(inside / "loop")
    (inside / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match=r"params sources\.mine\.train"):
        read_split("mine", a_source("hh", train=name), some_data(inside), "train")


@pytest.mark.parametrize("name", ["a/b", "../up", "a.b", "A", "$(x)", ""])
def test_names_of_sources_that_would_be_paths_are_refused(name, root, tmp_path):
    text = resolved_text(root / "params" / "tiny.yaml")
    (tmp_path / "params.yaml").write_text(re.sub(r"^  helpful:", f"  {json.dumps(name)}:", text, count=1, flags=re.M))
    with pytest.raises(ParamsError, match=re.escape(f"sources.{name}")):
        load_params(tmp_path / "params.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "status", "told"),
    [
        ("mine", "mine.jsonl", 1, "own/mine.jsonl:3: field 'rejected': found ['chosen'], expected text; the field is"),
        (
            "mine",
            "../mine.jsonl",
            1,
            "params sources.mine.train: field 'train': found '../mine.jsonl', expected a path",
        ),
        ("my/own", "mine.jsonl", 2, "sources.my/own.[key]: String should match pattern"),
    ],
)
def test_the_stage_ends_with_the_place_and_without_a_traceback(name, file, status, told, root, tmp_path):
    params = yaml.safe_load(resolved_text(root / "params" / "own.yaml"))
    params["sources"] = {name: {"reader": "auto", "train": file}}
    params["align"]["sources"] = [name]
    params["rm"]["sweep"]["counts"] = []
    params["judge"]["criteria"] = {}
    for folder in ("own", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "own" / "mine.jsonl").write_bytes(lines(PAIR, PAIR, {"chosen": "x"}))
    notebook = Path("notebooks/01_ingest.ipynb")
    (tmp_path / notebook).write_bytes((root / notebook).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "more_repro.nb", "run", str(notebook), "--stage", "ingest"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert told in done.stderr
    assert done.stderr.count(told) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_an_error_survives_its_way_out_of_a_worker():
    error = InputError("a.json row 1", "score", float("inf"), "a finite number")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where, again.field) == (str(error), error.where, error.field)
