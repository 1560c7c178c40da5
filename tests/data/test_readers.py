import gzip
import json
import subprocess
import sys

import pytest

from more_repro.data.rows import Rows, SourceError
from more_repro.data.sources import (
    READERS,
    domain_specific,
    find_reader,
    hh,
    oasst1,
    summarize,
    text_score,
    trl,
    webgpt,
)
from more_repro.params import Data, Source
from more_repro.records import Message
from more_repro.world.oracle import SOURCES


def a_source(reader, **values):
    empty = {"location": None, "revision": None, "subset": None, "train": None, "test": None, "licence": None}
    return Source(reader=reader, **(empty | values))


def some_data(folder="own", **values):
    numbers = {"seed": 1, "train_pairs": 40, "validation_pairs": 10, "test_pairs": 20, "pairs_per_source": 32}
    return Data(**({"folder": str(folder), "corpus_texts": 30, "drift": 1.0} | numbers | values))


def sides(rows):
    return [(pair.chosen, pair.rejected) for pair in rows.pairs]


def dialogue(prompt, response):
    return f"\n\nHuman: {prompt}\n\nAssistant: {response}"


def test_every_reader_of_the_params_has_a_module():
    assert set(READERS) == set(Source.model_fields["reader"].annotation.__args__)
    for reader in READERS:
        assert callable(find_reader(reader))


def test_the_room_imports_without_datasets_torch_and_transformers():
    modules = [*READERS.values(), *(f"more_repro.data.{name}" for name in ("ingest", "mixing", "diversity", "truth"))]
    code = (
        f"import {', '.join(modules)}, sys; print(sorted({{'datasets', 'torch', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_text_score_pairs_every_two_texts_with_different_scores():
    rows = Rows("s")
    texts = [dialogue("q", answer) for answer in "abcd"]
    text_score.add_row(rows, {"text": texts, "score": [1, 3.0, 3, 0]}, "row 1")
    assert set(sides(rows)) == {("b", "a"), ("c", "a"), ("a", "d"), ("b", "d"), ("c", "d")}
    assert rows.dropped == {"tie": 1}


def test_two_texts_make_one_pair():
    rows = Rows("s")
    text_score.add_row(rows, {"text": [dialogue("q", "a"), dialogue("q", "b")], "score": [0.5, 1.5]}, "row 1")
    assert sides(rows) == [("b", "a")]
    assert rows.pairs[0].prompt == (Message("user", "q"),)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"score": [1, 0]}, "text"),
        ({"text": ["a"], "score": [1]}, "text"),
        ({"text": ["a", "b"], "score": [1, "0"]}, "score"),
        ({"text": ["a", "b"], "score": [1, True]}, "score"),
        ({"text": ["a", "b"], "score": [1, float("nan")]}, "score"),
        ({"text": ["a", "b"], "score": [1, 0, 2]}, "score"),
        ({"text": ["a", 3], "score": [1, 0]}, "text"),
        ({"text": ["a", "b"], "score": [1, 0]}, "transcript"),
    ],
)
def test_broken_text_score_rows_name_the_field(row, field):
    with pytest.raises(SourceError, match=rf"row 9: field '{field}'"):
        text_score.add_row(Rows("s"), row, "row 9")


def test_domain_specific_sets_its_domain_against_each_other_one():
    row = {"query": "q", "responses": {"academy": "A", "business": "B", "normal": "N", "literature": "A", "odd": " "}}
    rows = Rows("s")
    domain_specific.add_row(rows, row, "academy", "row 1")
    assert sides(rows) == [("A", "B"), ("A", "N")]
    assert rows.dropped == {"identical": 1, "empty": 1}
    assert len({pair.prompt_id for pair in rows.pairs}) == 1
    with pytest.raises(SourceError, match="domain 'law'"):
        domain_specific.add_row(rows, row, "law", "row 1")


def test_domain_specific_needs_a_domain():
    with pytest.raises(SourceError, match="subset"):
        domain_specific.read("s", a_source("domain_specific", train="a.json"), some_data(), "train")


def test_hh_reads_local_gzip_lines(tmp_path):
    lines = [{"chosen": dialogue("q", f"yes {n}"), "rejected": dialogue("q", "no")} for n in range(3)]
    (tmp_path / "hh.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    rows = hh.read("s", a_source("hh", train="hh.jsonl.gz"), some_data(tmp_path), "train")
    assert sides(rows) == [("yes 0", "no"), ("yes 1", "no"), ("yes 2", "no")]


def test_a_missing_hh_field_names_file_and_line(tmp_path):
    (tmp_path / "hh.jsonl").write_text(json.dumps({"chosen": dialogue("q", "a")}) + "\n")
    with pytest.raises(SourceError, match=r"hh\.jsonl:1: field 'rejected': .*missing"):
        hh.read("s", a_source("hh", train="hh.jsonl"), some_data(tmp_path), "train")


def test_webgpt_takes_the_higher_score():
    row = {"question": {"dataset": "eli5", "id": "1", "full_text": " why? "}, "answer_0": "a", "answer_1": "b"}
    rows = Rows("s")
    webgpt.add_row(rows, row | {"score_0": -0.5, "score_1": 0.5}, "row 1")
    webgpt.add_row(rows, row | {"score_0": 1.0, "score_1": -1.0}, "row 2")
    webgpt.add_row(rows, row | {"score_0": 0.0, "score_1": 0.0}, "row 3")
    assert sides(rows) == [("b", "a"), ("a", "b")]
    assert rows.dropped == {"tie": 1}
    assert rows.pairs[0].prompt == (Message("user", "why?"),)
    with pytest.raises(SourceError, match=r"row 4: field 'score_1'"):
        webgpt.add_row(rows, row | {"score_0": 0.0, "score_1": None}, "row 4")


def test_summarize_takes_the_chosen_summary():
    post = {"id": "t3", "post": "long story", "title": "help", "subreddit": "advice", "site": None, "article": None}
    article = {"id": "c", "post": None, "title": None, "subreddit": None, "site": "cnn", "article": "news"}
    summaries = [{"text": " a", "policy": "x", "note": ""}, {"text": "b", "policy": "y", "note": ""}]
    rows = Rows("s")
    summarize.add_row(rows, {"info": post, "summaries": summaries, "choice": 1}, "row 1")
    summarize.add_row(rows, {"info": article, "summaries": summaries, "choice": 0}, "row 2")
    assert sides(rows) == [("b", "a"), ("a", "b")]
    assert rows.pairs[0].prompt[0].content == "SUBREDDIT: advice\nTITLE: help\nPOST: long story\nTL;DR:"
    assert rows.pairs[1].prompt[0].content == "POST: news\nTL;DR:"
    for bad in (2, True, None, "1"):
        with pytest.raises(SourceError, match="field 'choice'"):
            summarize.add_row(rows, {"info": post, "summaries": summaries, "choice": bad}, "row 3")


def message(name, parent, role, rank=None, **values):
    plain = {"message_id": name, "parent_id": parent, "text": f"text {name}", "role": role, "lang": "en", "rank": rank}
    return plain | {"deleted": False, "review_result": True} | values


FLAT = [
    message("q", None, "prompter"),
    message("a", "q", "assistant", 1),
    message("b", "q", "assistant", 0.0),
    message("c", "q", "assistant", None),
    message("d", "q", "assistant", 2, lang="de"),
    message("e", "q", "assistant", 3, deleted=True),
    message("f", "q", "assistant", 0),
    message("q2", "a", "prompter"),
    message("g", "q2", "assistant", 1),
    message("h", "q2", "assistant", 0),
]


def nested(name):
    own = next(item for item in FLAT if item["message_id"] == name)
    return own | {"replies": [nested(item["message_id"]) for item in FLAT if item["parent_id"] == name]}


def test_oasst_pairs_siblings_by_rank():
    rows = oasst1.pair_siblings("s", [(f"row {n}", item) for n, item in enumerate(FLAT)])
    assert set(sides(rows)) == {("text b", "text a"), ("text f", "text a"), ("text h", "text g")}
    assert rows.dropped == {"tie": 1, "unranked": 3, "other_language": 5, "deleted": 4}
    deep = next(pair for pair in rows.pairs if pair.chosen == "text h")
    assert [m.role for m in deep.prompt] == ["user", "assistant", "user"]
    assert [m.content for m in deep.prompt] == ["text q", "text a", "text q2"]


@pytest.mark.parametrize("wrap", [lambda root: {"message_tree_id": "q", "prompt": root}, lambda root: root])
def test_oasst_trees_and_flat_rows_give_the_same_pairs(wrap, tmp_path):
    (tmp_path / "flat.jsonl").write_text("".join(json.dumps(item) + "\n" for item in FLAT))
    (tmp_path / "tree.jsonl").write_text(json.dumps(wrap(nested("q"))) + "\n")
    source = a_source("oasst1", train="flat.jsonl", test="tree.jsonl")
    flat, tree = (oasst1.read("s", source, some_data(tmp_path), split) for split in ("train", "test"))
    assert {pair.pair_id for pair in flat.pairs} == {pair.pair_id for pair in tree.pairs}
    assert flat.dropped == tree.dropped


def test_oasst_refuses_replies_to_nothing_and_circles():
    lost = [("row 1", message("a", "zz", "assistant", 0)), ("row 2", message("b", "zz", "assistant", 1))]
    with pytest.raises(SourceError, match="row 1: field 'parent_id': found 'zz'"):
        oasst1.pair_siblings("s", lost)
    circle = [*lost, ("row 3", message("zz", "a", "prompter"))]
    with pytest.raises(SourceError, match="without a circle"):
        oasst1.pair_siblings("s", circle)


USER, YES, NO = ({"role": r, "content": c} for r, c in (("user", "q"), ("assistant", "yes"), ("assistant", "no")))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "yes", "rejected": "no"},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": " yes", "rejected": " no"},
        {"chosen": dialogue("q", "yes"), "rejected": dialogue("q", "no")},
        {"chosen": "q yes", "rejected": "q no"},
        {"prompt": [USER], "chosen": [YES], "rejected": [NO]},
        {"chosen": [USER, YES], "rejected": [USER, NO]},
        {"prompt": "q", "chosen": [YES], "rejected": [NO]},
    ],
)
def test_all_forms_of_trl_make_the_same_pair(row):
    rows = Rows("s")
    trl.add_row(rows, row, "row 1")
    (pair,) = rows.pairs
    assert (pair.prompt, pair.chosen, pair.rejected) == ((Message("user", "q"),), "yes", "no")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chosen": [USER, YES], "rejected": [USER, YES]}, "identical"),
        ({"chosen": [USER, YES, USER, YES], "rejected": [USER, NO]}, "multi_turn"),
        ({"chosen": [YES], "rejected": [NO]}, "different_prompts"),
        ({"chosen": "yes", "rejected": "no"}, "empty"),
        ({"chosen": "same words", "rejected": "same words"}, "empty"),
        ({"prompt": "q", "chosen": "yes", "rejected": "yes"}, "identical"),
        ({"prompt": "q", "chosen": "yes", "rejected": ""}, "empty"),
        ({"prompt": [USER], "chosen": [], "rejected": []}, "empty"),
        ({"prompt": [USER], "chosen": [YES], "rejected": []}, "empty"),
    ],
)
def test_trl_rows_without_a_preference_are_counted(row, reason):
    rows = Rows("s")
    trl.add_row(rows, row, "row 1")
    assert rows.dropped == {reason: 1}
    assert not rows.pairs


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "yes"},
        {"prompt": 3, "chosen": "yes", "rejected": "no"},
        {"prompt": 3, "chosen": [YES], "rejected": [NO]},
        {"chosen": [USER, YES], "rejected": "no"},
        {"chosen": [USER, {"role": "robot", "content": "x"}], "rejected": [USER, NO]},
        {"chosen": [USER, {"role": "assistant", "content": [{"type": "text"}]}], "rejected": [USER, NO]},
        {"chosen": [USER, "x"], "rejected": [USER, NO]},
        {"prompt": [YES], "chosen": [USER], "rejected": [{"role": "user", "content": "w"}]},
    ],
)
def test_broken_trl_rows_are_errors(row):
    with pytest.raises(SourceError, match="row 1"):
        trl.add_row(Rows("s"), row, "row 1")


def test_the_embedded_world_gives_each_split_its_own_stream():
    from more_repro.data.sources import embedded

    source, data = a_source("embedded"), some_data()
    parts = {split: embedded.read("helpful", source, data, split) for split in ("train", "validation", "test")}
    assert {split: len(rows.pairs) for split, rows in parts.items()} == {"train": 40, "validation": 10, "test": 20}
    assert parts["train"].pairs == embedded.read("helpful", source, data, "train").pairs
    renamed = embedded.read("mine", a_source("embedded", subset="helpful"), data, "train")
    assert {pair.source for pair in renamed.pairs} == {"mine"}
    with pytest.raises(SourceError, match=", ".join(SOURCES)):
        embedded.read("mine", source, data, "train")
    with pytest.raises(SourceError, match="train_pairs"):
        embedded.read("helpful", source, some_data(train_pairs=None), "train")


def test_hub_rows_come_from_one_commit_and_folder(monkeypatch):
    """The hub is not asked: a stand-in records how `load_dataset` is called."""
    asked = {}

    class Stub:
        @staticmethod
        def load_dataset(path, **options):
            asked.update(path=path, **options)
            return [{"chosen": dialogue("q", "a"), "rejected": dialogue("q", "b")}]

    monkeypatch.setitem(sys.modules, "datasets", Stub)
    source = a_source("hh", location="who/what", revision="abc", subset="helpful-base", train="train")
    rows = hh.read("s", source, some_data(), "train")
    assert sides(rows) == [("a", "b")]
    assert asked == {"path": "who/what", "data_dir": "helpful-base", "split": "train", "revision": "abc"}
    with pytest.raises(SourceError, match=r"params sources\.s\.test"):
        hh.read("s", source, some_data(), "test")
