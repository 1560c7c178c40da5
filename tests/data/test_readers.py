import gzip
import json
import subprocess
import sys
from dataclasses import replace
from math import isnan, nan

import pytest
from source_params import a_source, some_data

from more_repro.data.ingest.pairs_table import pairs_frame
from more_repro.data.reading.read_source import read_split
from more_repro.data.sources import READERS, find_reader
from more_repro.data.sources.pair_collector import EXAMPLE_CHARACTERS, MOST_EXAMPLES, Rows
from more_repro.data.sources.reader import How
from more_repro.files.rows import InputError
from more_repro.params import Source
from more_repro.records import Message
from more_repro.world.oracle import SOURCES


def sides(rows):
    return [(pair.chosen, pair.rejected) for pair in rows.pairs]


def dialogue(prompt, response):
    return f"\n\nHuman: {prompt}\n\nAssistant: {response}"


def read(reader, *raw, where="row {}", **how):
    """The rows that a reader makes of raw rows."""
    found = find_reader(reader)(Rows("s"), How(**how))
    for number, row in enumerate(raw, start=1):
        found.add(row, where.format(number))
    found.finish()
    return found.rows


def test_every_reader_of_the_params_has_a_module():
    assert set(READERS) | {"auto", "embedded"} == set(Source.model_fields["reader"].annotation.__args__)
    for reader in READERS:
        assert find_reader(reader).needs


@pytest.mark.slow  # a process that loads scipy and scikit-learn
def test_the_room_imports_without_datasets_torch_and_transformers():
    names = ("ingest.ingest", "mixing", "diversity.measure_all", "diversity.true_agreement", "reading.read_source")
    modules = [*READERS.values(), "more_repro.data.sources.embedded", *(f"more_repro.data.{name}" for name in names)]
    code = (
        f"import {', '.join(modules)}, sys; print(sorted({{'datasets', 'torch', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_text_score_pairs_every_two_texts_with_different_scores():
    row = {"text": [dialogue("q", answer) for answer in "abcd"], "score": [1, 3.0, 3, 0]}
    rows = read("text_score", row)
    assert set(sides(rows)) == {("b", "a"), ("c", "a"), ("a", "d"), ("b", "d"), ("c", "d")}
    assert rows.dropped == {"tie": 1}
    best = read("text_score", row, row | {"score": [1, 3, 2, 0]}, row | {"score": [5, 3, 3, 0]}, ranked="top_two")
    assert sides(best) == [("b", "c"), ("a", "b")]
    assert best.dropped == {"tie": 1}


def test_two_texts_make_one_pair():
    rows = read("text_score", {"text": [dialogue("q", "a"), dialogue("q", "b")], "score": [0.5, 1.5]})
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
        ({"text": ["a", "b"], "score": [10**400, 0]}, "score"),
        ({"text": ["a", "b"], "score": [1, float("inf")]}, "score"),
        ({"text": [dialogue("q", "a"), "b"], "score": [1, 0]}, "transcript"),
    ],
)
def test_broken_text_score_rows_name_the_field(row, field):
    with pytest.raises(InputError, match=rf"row 9: field '{field}'"):
        read("text_score", row, where="row 9")


def test_domain_specific_sets_its_domain_against_each_other_one():
    row = {"query": "q", "responses": {"academy": "A", "business": "B", "normal": "N", "literature": "A", "odd": " "}}
    rows = read("domain_specific", row | {"responses": row["responses"] | {"law": None}}, subset="academy")
    assert sides(rows) == [("A", "B"), ("A", "N")]
    assert rows.dropped == {"identical": 1, "empty": 1}
    assert len({pair.prompt_id for pair in rows.pairs}) == 1
    with pytest.raises(InputError, match="domain 'law'"):
        read("domain_specific", row, subset="law")


def test_domain_specific_needs_a_domain():
    with pytest.raises(InputError, match="subset"):
        read("domain_specific")


def test_hh_reads_local_gzip_lines(tmp_path):
    lines = [{"chosen": dialogue("q", f"yes {n}"), "rejected": dialogue("q", "no")} for n in range(3)]
    (tmp_path / "hh.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    rows, facts = read_split("s", a_source("hh", train="hh.jsonl.gz"), some_data(tmp_path), "train")
    assert (facts.container, facts.format, facts.n_rows) == ("JSON Lines, gzip", "HH transcripts", 3)
    assert sides(rows) == [("yes 0", "no"), ("yes 1", "no"), ("yes 2", "no")]


def test_a_missing_hh_field_names_file_and_line(tmp_path):
    (tmp_path / "hh.jsonl").write_text(json.dumps({"chosen": dialogue("q", "a")}) + "\n")
    with pytest.raises(InputError, match=r"hh\.jsonl:1: field 'rejected': .*missing"):
        read_split("s", a_source("hh", train="hh.jsonl"), some_data(tmp_path), "train")


def test_webgpt_takes_the_higher_score():
    row = {"question": {"dataset": "eli5", "id": "1", "full_text": " why? "}, "answer_0": "a", "answer_1": "b"}
    scores = [(-0.5, 0.5), (1.0, -1.0), (0.0, 0.0)]
    rows = read("webgpt", *(row | {"score_0": first, "score_1": second} for first, second in scores))
    assert sides(rows) == [("b", "a"), ("a", "b")]
    assert rows.dropped == {"tie": 1}
    assert rows.pairs[0].prompt == (Message("user", "why?"),)
    with pytest.raises(InputError, match=r"row 4: field 'score_1'"):
        read("webgpt", row | {"score_0": 0.0, "score_1": None}, where="row 4")


def test_summarize_takes_the_chosen_summary():
    post = {"id": "t3", "post": "long story", "title": "help", "subreddit": "advice", "site": None, "article": None}
    article = {"id": "c", "post": None, "title": None, "subreddit": None, "site": "cnn", "article": "news"}
    summaries = [{"text": " a", "policy": "x", "note": ""}, {"text": "b", "policy": "y", "note": ""}]
    rows = read(
        "summarize",
        {"info": post, "summaries": summaries, "choice": 1},
        {"info": article, "summaries": summaries, "choice": 0},
    )
    assert sides(rows) == [("b", "a"), ("a", "b")]
    assert rows.pairs[0].prompt[0].content == "SUBREDDIT: advice\nTITLE: help\nPOST: long story\nTL;DR:"
    assert rows.pairs[1].prompt[0].content == "POST: news\nTL;DR:"
    whole = read("summarize", {"info": post, "summaries": summaries, "choice": 1.0})
    assert sides(whole) == [("b", "a")], "a whole number as pandas writes it"
    for bad in (2, 0.5, True, None, "1", [1]):
        with pytest.raises(InputError, match="field 'choice'"):
            read("summarize", {"info": post, "summaries": summaries, "choice": bad})


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
    rows = read("oasst1", *FLAT)
    assert set(sides(rows)) == {("text b", "text a"), ("text f", "text a"), ("text h", "text g")}
    assert rows.dropped == {"tie": 1, "unranked": 3, "other_language": 5, "deleted": 4}
    best = read("oasst1", *FLAT, message("i", "q", "assistant", 5), ranked="top_two")
    assert sides(best) == [("text h", "text g")]
    assert best.dropped == {"tie": 1}, "b and f are both first"
    unread = [message("q", None, "prompter"), message("a", "q", "assistant", 0), message("b", "q", "assistant", 1)]
    for value in (None, False):
        assert read("oasst1", *unread[:2], unread[2] | {"review_result": value}).dropped == {"unreviewed": 1}
    deep = next(pair for pair in rows.pairs if pair.chosen == "text h")
    assert [m.role for m in deep.prompt] == ["user", "assistant", "user"]
    assert [m.content for m in deep.prompt] == ["text q", "text a", "text q2"]


@pytest.mark.parametrize("wrap", [lambda root: {"message_tree_id": "q", "prompt": root}, lambda root: root])
def test_oasst_trees_and_flat_rows_give_the_same_pairs(wrap, tmp_path):
    (tmp_path / "flat.jsonl").write_text("".join(json.dumps(item) + "\n" for item in FLAT))
    (tmp_path / "tree.jsonl").write_text(json.dumps(wrap(nested("q"))) + "\n")
    source = a_source("oasst1", train="flat.jsonl", test="tree.jsonl")
    flat, tree = (read_split("s", source, some_data(tmp_path), split)[0] for split in ("train", "test"))
    assert {pair.pair_id for pair in flat.pairs} == {pair.pair_id for pair in tree.pairs}
    assert flat.dropped == tree.dropped


def test_oasst_replies_without_their_thread_are_counted():
    lost = [message("a", "zz", "assistant", 0), message("b", "zz", "assistant", 1)]
    rows = read("oasst1", *lost)
    assert rows.dropped == {"no_prompt": 1}
    assert (rows.examples["no_prompt"][0].where, rows.examples["no_prompt"][0].chosen) == ("row 1", "text a")
    assert read("oasst1", *lost, message("zz", "gone", "prompter")).dropped == {"no_prompt": 1}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"deleted": True}, "deleted"),
        ({"lang": "de"}, "other_language"),
        ({"review_result": None}, "unreviewed"),
        ({"text": "[removed]"}, "empty"),
    ],
)
@pytest.mark.parametrize("ranked", ["all", "top_two"])
def test_oasst_threads_are_held_to_the_same_rules_as_replies(fault, reason, ranked):
    thread = [message("q", None, "prompter") | fault, message("a", "q", "assistant"), message("q2", "a", "prompter")]
    replies = [message("g", "q2", "assistant", 1), message("h", "q2", "assistant", 0)]
    assert read("oasst1", *thread, *replies, ranked=ranked).dropped == {reason: 1}


@pytest.mark.parametrize(("field", "value"), [("role", ["assistant"]), ("parent_id", ["q"]), ("parent_id", 3)])
def test_oasst_fields_of_another_type_are_errors(field, value):
    with pytest.raises(InputError, match=f"row 1: field '{field}'"):
        read("oasst1", message("a", "q", "assistant", 0) | {field: value})


def test_oasst_refuses_circles_and_messages_that_come_twice():
    replies = [message("a", "zz", "assistant", 0), message("b", "zz", "assistant", 1)]
    with pytest.raises(InputError, match="without a circle"):
        read("oasst1", *replies, message("zz", "a", "prompter"))
    with pytest.raises(InputError, match="row 2: field 'message_id': found 'a', expected each message once"):
        read("oasst1", replies[0], replies[0])
    for rank in (True, 0.5, float("inf"), "1"):
        with pytest.raises(InputError, match="field 'rank'"):
            read("oasst1", message("a", "zz", "assistant", rank))


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
        {"prompt": "q", "chosen": [USER, YES], "rejected": [USER, NO]},
        {"prompt": [USER], "chosen": [USER, YES], "rejected": [USER, NO]},
        {"prompt": "q\r\n", "chosen": "yes\r", "rejected": "no\r\n", "margin": None},
    ],
)
def test_all_forms_of_trl_make_the_same_pair(row):
    rows = read("trl", row)
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
        ({"prompt": [], "chosen": [YES], "rejected": [NO]}, "empty"),
        ({"prompt": "q", "chosen": [USER, YES], "rejected": [NO]}, "multi_turn"),
    ],
)
def test_trl_rows_without_a_preference_are_counted(row, reason):
    rows = read("trl", row)
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
        {"prompt": "q", "chosen": "yes", "rejected": "no", "margin": "wide"},
        {"prompt": "q", "chosen": "yes", "rejected": "no", "margin": True},
        {"prompt": [YES], "chosen": [USER], "rejected": [{"role": "user", "content": "w"}]},
    ],
)
def test_broken_trl_rows_are_errors(row):
    with pytest.raises(InputError, match="row 1"):
        read("trl", row)


WEBGPT = {"question": {"full_text": "q"}, "answer_0": "no", "answer_1": "yes", "score_0": -0.5, "score_1": 1.0}


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        ("text_score", {"text": [dialogue("q", "no"), dialogue("q", "yes")], "score": [-0.5, 1]}),
        ("webgpt", WEBGPT),
        ("webgpt", WEBGPT | {"answer_0": "yes", "answer_1": "no", "score_0": 1.0, "score_1": -0.5}),
        ("hh", {"chosen": dialogue("q", "yes"), "rejected": dialogue("q", "no"), "margin": 1.5}),
        ("trl", {"prompt": "q", "chosen": "yes", "rejected": "no", "margin": 1.5}),
        ("trl", {"chosen": "q yes", "rejected": "q no", "margin": 1.5}),
        ("trl", {"chosen": dialogue("q", "yes"), "rejected": dialogue("q", "no"), "margin": 1.5}),
        ("trl", {"prompt": "q", "chosen": [YES], "rejected": [NO], "margin": 1.5}),
    ],
)
def test_the_margin_that_a_data_set_gives_is_kept(reader, row):
    (pair,) = read(reader, row).pairs
    assert (pair.chosen, pair.rejected, pair.score_margin) == ("yes", "no", 1.5)
    (line,) = pairs_frame([pair]).to_dict("records")
    assert (line["score_margin"], line["pair_id"]) == (1.5, replace(pair, score_margin=nan).pair_id)


def test_a_margin_that_is_not_given_or_infinite_is_unknown():
    for row in ({}, {"margin": None}, {"margin": nan}):
        (pair,) = read("trl", {"prompt": "q", "chosen": "yes", "rejected": "no"} | row).pairs
        assert isnan(pair.score_margin)
    (far,) = read("webgpt", WEBGPT | {"score_0": -1e308, "score_1": 1e308}).pairs
    assert isnan(far.score_margin)
    assert pairs_frame([far])["score_margin"].isna().all()


def test_the_embedded_world_gives_each_split_its_own_stream():
    from more_repro.data.sources import embedded

    source, data = a_source("embedded"), some_data()
    parts = {split: embedded.read("helpful", source, data, split) for split in ("train", "validation", "test")}
    assert {split: len(rows.pairs) for split, rows in parts.items()} == {"train": 40, "validation": 10, "test": 20}
    assert parts["train"].pairs == embedded.read("helpful", source, data, "train").pairs
    renamed = embedded.read("mine", a_source("embedded", subset="helpful"), data, "train")
    assert {pair.source for pair in renamed.pairs} == {"mine"}
    with pytest.raises(InputError, match=", ".join(SOURCES)):
        embedded.read("mine", source, data, "train")
    with pytest.raises(InputError, match="train_pairs"):
        embedded.read("helpful", source, some_data(train_pairs=None), "train")


def test_rows_keep_the_first_examples_of_each_reason_and_shorten_them():
    rows = Rows("s")
    for number in range(5):
        rows.add((Message("user", "q"),), "x" * 1000, f"x{'x' * 999}", where=f"row {number}")
        rows.drop("duplicate")
    assert rows.dropped == {"identical": 5, "duplicate": 5}
    shown = rows.examples["identical"]
    assert [example.where for example in shown] == [f"row {number}" for number in range(MOST_EXAMPLES)]
    assert (shown[0].prompt, len(shown[0].chosen)) == ("q", EXAMPLE_CHARACTERS)
    assert "duplicate" not in rows.examples
