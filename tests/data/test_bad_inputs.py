"""Every kind of broken input gives one error that says where, in which field, what was found and what was expected."""

import gzip
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from source_params import a_source, some_data

from more_repro.data.reading import read_split
from more_repro.data.rows import SourceError
from more_repro.params import ParamsError, load_params


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


def with_score(text: str) -> str:
    return json.dumps(SCORED).replace("1.0", text)


# what is wrong: file name, content, place after the file's name, field, found, expected
CASES = {
    "a line is cut": ("a.jsonl", lines(PAIR)[:-1] + b'\n{"chosen": "x', ":2:12", "JSON", "", "Unterminated string"),
    "a value is no text": ("a.jsonl", lines(PAIR, PAIR | {"chosen": 3}), ":2", "chosen", "3", "text"),
    "a key is missing": ("a.jsonl", lines(PAIR, {"chosen": "x"}), ":2", "rejected", "['chosen']", "is missing"),
    "a row is null": ("a.jsonl", lines(PAIR, "null"), ":2", "row", "None", "an object"),
    "the first row is null": ("a.jsonl", lines("null", PAIR), ":1", "row", "None", "an object"),
    "a row is a list": ("a.json", listed(SCORED, [1, 2]), " row 2", "row", "[1, 2]", "an object"),
    "a score is NaN": ("a.json", listed(SCORED, with_score("NaN")), " row 2", "number", "'NaN'", "a finite number"),
    "a score is infinite": ("a.json", listed(with_score("1e999")), " row 1", "score", "inf", "a finite number"),
    "a score is text": ("a.json", listed(with_score('"1"')), " row 1", "score", "'1'", "a finite number"),
    "a byte is no UTF-8": ("a.jsonl", lines(PAIR) + b'{"chosen": "caf\xe9"}\n', ":2", "bytes", r"b'\xe9'", "UTF-8"),
    "half a surrogate": ("a.jsonl", lines(r'{"chosen": "\ud800", "rejected": ""}'), ":1", "JSON", "", "characters"),
    "the file is empty": ("a.jsonl", b"", "", "file", "'nothing'", "at least one row"),
    "the file is blank": ("a.json", b" \n", "", "file", "'nothing'", "at least one row"),
    "the list is empty": ("a.json", b"[]", "", "rows", "0", "at least one row"),
    "a row has one side": ("a.json", listed(SCORED | {"text": [talk("q", "a")]}), " row 1", "text", "", "at least 2"),
    "a key stands twice": ("a.jsonl", lines(PAIR, '{"chosen": "a", "chosen": "b"}'), ":2", "chosen", "", "key once"),
    "the format is unknown": ("a.jsonl", lines({"q": 1}), ":1", "format", "keys q", "rows of one known format"),
    "the list is cut": ("a.json", listed(SCORED, SCORED)[:-9], ":1:", "JSON", "", "delimiter"),
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
    "a CSV cell is no JSON": ("a.csv", b"text,score\nx,1\n", ":2", "text", "'x'", "JSON: Expecting value"),
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
    with pytest.raises(SourceError) as caught:
        read_split("mine", a_source(train=name), some_data(tmp_path), "train")
    error = caught.value
    assert error.where.removeprefix(str(tmp_path / name)).startswith(place)
    assert error.where.startswith((str(tmp_path / name), name))
    assert error.field == field
    assert found in str(error)
    assert expected in error.expected
    assert str(error).count("field '") == 1, "one error, not a chain"


@pytest.mark.parametrize(
    "name", ["../a.jsonl", "sub/../../a.jsonl", "/etc/passwd", "missing.jsonl", "link.jsonl", "sub", None]
)
def test_files_outside_the_folder_are_refused(name, tmp_path):
    inside = tmp_path / "own"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "a.jsonl").write_bytes(lines(PAIR))
    (inside / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(SourceError, match=r"params sources\.mine\.train"):
        read_split("mine", a_source("hh", train=name), some_data(inside), "train")


@pytest.mark.parametrize("name", ["a/b", "../up", "a.b", "A", "$(x)", ""])
def test_names_of_sources_that_would_be_paths_are_refused(name, root, tmp_path):
    text = (root / "params" / "tiny.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"^  helpful:", f"  {json.dumps(name)}:", text, count=1, flags=re.M))
    with pytest.raises(ParamsError, match=re.escape(f"sources.{name}")):
        load_params(tmp_path / "params.yaml")


@pytest.mark.slow
def test_the_stage_ends_with_the_place_and_without_a_traceback(root, tmp_path):
    params = yaml.safe_load((root / "params" / "own.yaml").read_text())
    empty = dict.fromkeys(("location", "revision", "subset", "test", "test_pairs", "licence"))
    params["sources"] = {"mine": empty | {"reader": "auto", "train": "mine.jsonl"}}
    params["align"]["sources"] = ["mine"]
    params["rm"]["sweep"]["counts"] = []
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
    assert done.returncode == 1
    assert "own/mine.jsonl:3: field 'rejected': found ['chosen'], expected text; the field is missing" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_error_survives_its_way_out_of_a_worker():
    error = SourceError("a.json row 1", "score", float("inf"), "a finite number")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where, again.field) == (str(error), error.where, error.field)
