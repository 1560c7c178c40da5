"""What is found in a file is told from its rows, said in words, and used."""

import csv
import gzip
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_params import a_source, some_data

from more_repro import tables
from more_repro.data.reading.read_source import read_source, read_split
from more_repro.data.sources import row_readers
from more_repro.files.rows import InputError


def talk(prompt, response):
    return f"\n\nHuman: {prompt}\n\nAssistant: {response}"


def said(role, content):
    return {"role": role, "content": content}


def message(name, parent, role, **values):
    plain = {"message_id": name, "parent_id": parent, "text": name, "role": role, "lang": "en", "rank": None}
    return plain | {"deleted": False, "review_result": True} | values


TREE = message("q", None, "prompter")
REPLIES = [message("a", "q", "assistant", rank=1), message("b", "q", "assistant", rank=0)]
POST = {"id": "t3", "post": "long story", "title": "help", "subreddit": "advice"}

# reader -> the form it reports, and rows that give the one pair (b, a).
ROWS = {
    "text_score": [("text-score, 2 texts a row", [{"text": [talk("q", "a"), talk("q", "b")], "score": [0, 1.5]}])],
    "hh": [("HH transcripts", [{"chosen": talk("q", "b"), "rejected": talk("q", "a")}])],
    "trl": [
        ("TRL, plain text, explicit prompt", [{"prompt": "q", "chosen": "b", "rejected": "a"}]),
        ("TRL, plain text, implicit prompt", [{"chosen": "q b", "rejected": "q a"}]),
        (
            "TRL, conversational, explicit prompt",
            [{"prompt": [said("user", "q")], "chosen": [said("assistant", "b")], "rejected": [said("assistant", "a")]}],
        ),
        (
            "TRL, conversational, implicit prompt",
            [
                {
                    side: [said("user", "q"), said("assistant", text)]
                    for side, text in (("chosen", "b"), ("rejected", "a"))
                }
            ],
        ),
    ],
    "domain_specific": [
        ("domain-specific, 2 responses a row, law preferred", [{"query": "q", "responses": {"law": "b", "art": "a"}}])
    ],
    "oasst1": [
        ("OASST flat messages", [TREE, *REPLIES]),
        ("OASST nested messages", [TREE | {"replies": REPLIES}]),
        ("OASST trees", [{"message_tree_id": "q", "prompt": TREE | {"replies": REPLIES}}]),
    ],
    "webgpt": [
        (
            "WebGPT comparisons",
            [{"question": {"full_text": "q"}, "answer_0": "a", "answer_1": "b", "score_0": -1.0, "score_1": 1.0}],
        )
    ],
    "summarize": [
        (
            "summarize_from_feedback comparisons",
            [{"info": POST, "summaries": [{"text": "a", "note": ""}, {"text": "b", "note": ""}], "choice": 1}],
        )
    ],
}
CONTAINERS = tuple(f"a.{ending}{packed}" for packed in ("", ".gz") for ending in ("json", "jsonl", "csv", "parquet"))
TREES = ("OASST trees", "OASST nested messages")  # which are no table
CASES = [
    (reader, form, rows, name)
    for reader, forms in ROWS.items()
    for form, rows in forms
    for name in CONTAINERS
    if not (form in TREES and "csv" in name)
]


def write(path: Path, rows) -> None:
    """In the container that the name says, nested values of CSV as JSON."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2]
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in row.items()})
    elif ending == "json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize(("reader", "form", "rows", "name"), CASES)
def test_every_format_is_found_and_read_in_every_container(reader, form, rows, name, tmp_path):
    write(tmp_path / name, rows)
    source = a_source("auto", train=name, subset="law" if reader == "domain_specific" else None)
    found, facts = read_split("s", source, some_data(tmp_path), "train")
    assert [(pair.chosen, pair.rejected) for pair in found.pairs] == [("b", "a")]
    assert found.pairs[0].prompt[0].content.strip("\n").endswith(("q", "TL;DR:"))
    assert (facts.format, facts.n_rows, facts.file) == (form, len(rows), name)
    named, named_facts = read_split("s", source.model_copy(update={"reader": reader}), some_data(tmp_path), "train")
    assert (named.pairs, named_facts) == (found.pairs, facts)


def test_the_number_of_texts_is_told_as_it_varies(tmp_path):
    texts = [talk("q", answer) for answer in "abcd"]
    write(tmp_path / "a.json", [{"text": texts[:n], "score": list(range(n))} for n in (2, 4, 3)])
    _, facts = read_split("s", a_source(train="a.json"), some_data(tmp_path), "train")
    assert facts.format == "text-score, 2 to 4 texts a row"


def test_an_unknown_format_is_told_what_every_format_needs(tmp_path):
    write(tmp_path / "a.json", [{"question": "q", "answer": "a"}])
    with pytest.raises(InputError, match="found 'keys question, answer'") as caught:
        read_split("s", a_source(train="a.json"), some_data(tmp_path), "train")
    for name, reader in row_readers().items():
        assert f"{name}: {reader.needs}" in str(caught.value)


def test_a_row_that_fits_two_formats_is_refused(tmp_path):
    both = ROWS["text_score"][0][1][0] | ROWS["trl"][0][1][0]
    write(tmp_path / "a.json", [both])
    with pytest.raises(InputError, match="which fit text_score and trl"):
        read_split("s", a_source(train="a.json"), some_data(tmp_path), "train")


def test_a_domain_must_be_named(tmp_path):
    write(tmp_path / "a.json", ROWS["domain_specific"][0][1])
    with pytest.raises(InputError, match="the name of the preferred domain"):
        read_split("s", a_source(train="a.json"), some_data(tmp_path), "train")


def test_unreadable_rows_are_counted_up_to_what_the_params_allow(tmp_path):
    good = json.dumps(ROWS["hh"][0][1][0])
    bad = ["null", '{"chosen": ', '{"chosen": "x", "rejected": "y"}', '{"chosen": "\\ud800", "rejected": "y"}']
    (tmp_path / "train.jsonl").write_text("\n".join([bad[0], good, *bad[1:3], good]))
    (tmp_path / "test.jsonl").write_text("\n".join([good, bad[3]]))
    source = a_source("hh", train="train.jsonl", test="test.jsonl")
    parts, facts = read_source("s", source, some_data(tmp_path, unreadable_rows=4))
    assert {split: dict(rows.dropped) for split, rows in parts.items()} == {
        "train": {"unreadable": 3},
        "test": {"unreadable": 1},
    }
    assert [len(rows.pairs) for rows in parts.values()] == [2, 1]
    assert [fact.n_rows for fact in facts] == [5, 2]
    places = [example.where for example in parts["train"].examples["unreadable"]]
    assert [place.partition(": field")[0].rpartition("/")[2] for place in places] == [
        "train.jsonl:1", "train.jsonl:3:12", "train.jsonl:4",
    ]  # fmt: skip
    with pytest.raises(
        InputError, match=r"test\.jsonl:2: field 'unreadable rows': found 4, expected at most .* = 3: .*:1"
    ):
        read_source("s", source, some_data(tmp_path, unreadable_rows=3))
    with pytest.raises(InputError, match=r"train\.jsonl:1: field 'row': found None"):
        read_source("s", source, some_data(tmp_path))


def test_an_unreadable_row_of_several_texts_leaves_no_pair_behind(tmp_path):
    rows = [{"text": [talk("q", "a"), talk("q", "b"), "no turns"], "score": [1, 2, 3]}, *ROWS["text_score"][0][1]]
    write(tmp_path / "a.json", rows)
    found, _ = read_split("s", a_source("text_score", train="a.json"), some_data(tmp_path, unreadable_rows=1), "train")
    assert (len(found.pairs), dict(found.dropped)) == (1, {"unreadable": 1})


def test_a_broken_first_row_does_not_choose_the_form(tmp_path):
    chat = ROWS["trl"][3][1][0]
    write(tmp_path / "a.jsonl", [{"chosen": 3, "rejected": "x"}, chat, chat])
    source = a_source("trl", train="a.jsonl")
    rows, facts = read_split("s", source, some_data(tmp_path, unreadable_rows=1), "train")
    assert (len(rows.pairs), facts.format) == (2, "TRL, conversational, implicit prompt")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_margin_is_read_from_every_container(name, tmp_path):
    row = {"prompt": "q", "chosen": "b", "rejected": "a"}
    write(tmp_path / name, [row | {"margin": 0.5}, row | {"chosen": "c", "margin": None}])
    rows, _ = read_split("s", a_source(train=name), some_data(tmp_path), "train")
    assert [repr(pair.score_margin) for pair in rows.pairs] == ["0.5", "nan"]


def test_facts_are_the_table_audit_files(tmp_path):
    import dataclasses

    import pandas as pd

    write(tmp_path / "a.jsonl", ROWS["hh"][0][1])
    _, facts = read_source("s", a_source(train="a.jsonl"), some_data(tmp_path))
    table = tables.check(pd.DataFrame([dataclasses.asdict(fact) for fact in facts]), "audit_files")
    assert table.loc[0, ["split", "revision"]].tolist() == ["train", ""]


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Cut, overwritten, thinned out, or with something foreign inside."""
    start, end = sorted(rng.randrange(len(content)) for _ in range(2))
    foreign = rng.choice(
        [b"null", b'"', b"[", b"}", b",", b"\n", b"NaN", b"1e999", b"\\ud800", b"\0", b"\xff", b"9" * 5000]
    )
    return rng.choice([content[:end], content[:start] + content[end:], content[:start] + foreign + content[start:]])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_damaged_file_holds_it_is_read_or_refused(seed, tmp_path):
    """No other error than the located one, in any container and format."""
    rng, refused = random.Random(seed), 0
    for reader, _, rows, name in rng.sample(CASES, 40):
        write(tmp_path / name, rows)
        (tmp_path / name).write_bytes(mutate((tmp_path / name).read_bytes(), rng))
        source = a_source(rng.choice(["auto", reader]), train=name, subset="law")
        try:
            read_split("s", source, some_data(tmp_path, unreadable_rows=rng.choice([0, 5])), "train")
        except InputError as error:
            refused += error.where != ""
    assert refused > 20


def test_the_rows_that_the_page_of_the_folder_shows_are_read(root, tmp_path):
    page = (root / "own" / "README.md").read_text()
    block, decoder, found = page.partition("```json\n")[2].partition("```")[0], json.JSONDecoder(), []
    while block.strip():
        row, end = decoder.raw_decode(block.lstrip())
        block = block.lstrip()[end:]
        write(tmp_path / "a.jsonl", [row])
        rows, facts = read_split("s", a_source(train="a.jsonl", subset="law"), some_data(tmp_path), "train")
        assert [(pair.prompt[0].content, pair.chosen, pair.rejected) for pair in rows.pairs] == [
            ("Why?", "Because.", "No idea.")
        ]
        found.append(facts.format.partition(",")[0])
    assert found == ["text-score", "TRL", "HH transcripts", "TRL", "domain-specific"]


REAL = os.environ.get("MORE_REPRO_REAL_DATA")


@pytest.mark.skipif(REAL is None, reason="MORE_REPRO_REAL_DATA names no folder")
@pytest.mark.parametrize(
    ("name", "subset", "form", "n_pairs"),
    [
        ("helpful.train.json", None, "text-score, 2 texts a row", 1598),
        ("webgpt.test.json", None, "text-score, 2 texts a row", 143),
        ("domain_specific.test.json", "academy", "domain-specific, 5 responses a row, academy preferred", 470),
        ("hh_raw.harmless-base.head.jsonl.gz", None, "HH transcripts", 299),
        ("oasst.en_100_tree.jsonl", None, "OASST trees", 754),
        ("oasst.en_100_message.jsonl", None, "OASST nested messages", 754),
    ],
)
def test_real_files_are_read_without_being_named(name, subset, form, n_pairs):
    found, facts = read_split("s", a_source(train=name, subset=subset), some_data(REAL), "train")
    assert (facts.format, len(found.pairs)) == (form, n_pairs)
