"""The five public sets in their raw schema, read by the real `datasets` from a folder that stands in for the hub."""

import gzip
import json
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_params import a_source, some_data

from more_repro.data.reading.read_source import read_split
from more_repro.files.rows import InputError
from more_repro.params import load_params

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def talk(prompt, response):
    return f"\n\nHuman: {prompt}\n\nAssistant: {response}"


def quotes(name):
    return {"title": [name], "extract": [f"says {name}"]}


def message(name, parent, role, **values):
    plain = {"message_id": name, "parent_id": parent, "user_id": "u", "created_date": "2023", "text": name}
    plain |= {"role": role, "lang": "en", "review_count": 3, "review_result": True, "deleted": False, "rank": None}
    plain |= {"synthetic": False, "model_name": None, "detoxify": {"toxicity": 0.1}, "message_tree_id": "q"}
    return plain | {"emojis": {"name": ["+1"], "count": [1]}, "labels": {"name": ["spam"], "value": [0.0]}} | values


HH = [{"chosen": talk("q", "a"), "rejected": talk("q", "b")}, {"chosen": talk("q", "c"), "rejected": talk("q", "c")}]
OASST = [
    message("q", None, "prompter"),
    message("b", "q", "assistant", rank=1),
    message("a", "q", "assistant", rank=0),
    message("c", "q", "assistant", rank=2, review_result=None),
    message("d", "q", "assistant"),
]
WEBGPT = [
    {
        "question": {"dataset": "eli5", "id": "1", "full_text": "q"}, "quotes_0": quotes("x"), "answer_0": "b",
        "tokens_0": {"prefix": [1], "completion": [2]}, "score_0": -score, "quotes_1": quotes("y"), "answer_1": "a",
        "tokens_1": {"prefix": [1], "completion": [3]}, "score_1": score,
    }
    for score in (0.5, 0.0)
]  # fmt: skip
SUMMARIZE = [
    {
        "info": {"id": "t3", "post": "long", "title": "t", "subreddit": "s", "site": None, "article": None},
        "summaries": [{"text": " b", "policy": "x", "note": None}, {"text": " a", "policy": "y", "note": "n"}],
        "choice": 1, "worker": "w", "batch": "1", "split": "train", "extra": {"confidence": None},
    }
]  # fmt: skip


def jsonl_gz(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder laid out as the five sets are at the revisions of params/paper.yaml."""
    folder = tmp_path_factory.mktemp("hub")
    for subset in ("helpful-base", "harmless-base"):
        jsonl_gz(folder / "Anthropic/hh-rlhf" / subset / "train.jsonl.gz", HH)
        jsonl_gz(folder / "Anthropic/hh-rlhf" / subset / "test.jsonl.gz", HH)
    for split in ("train", "validation"):
        parquet(folder / f"OpenAssistant/oasst1/data/{split}-00000-of-00001.parquet", OASST)
        parquet(folder / f"openai/summarize_from_feedback/comparisons/{split}/0000.parquet", SUMMARIZE)
    parquet(folder / "openai/webgpt_comparisons/default/train/0000.parquet", WEBGPT)
    return folder


@pytest.fixture
def datasets(hub, tmp_path, monkeypatch):
    """`datasets.load_dataset_builder`, which finds the folder under every hub id."""
    import datasets

    real = datasets.load_dataset_builder

    def load_dataset_builder(path, revision, **options):
        return real(str(hub / path), cache_dir=str(tmp_path / "cache"), **options)

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    return datasets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "form", "dropped"),
    [
        ("helpful", "HH transcripts", {"identical": 1}),
        ("harmless", "HH transcripts", {"identical": 1}),
        ("oasst1", "OASST flat messages", {"unreviewed": 3, "unranked": 2}),
        ("webgpt", "WebGPT comparisons", {"tie": 1}),
        ("summarize", "summarize_from_feedback comparisons", {}),
    ],
)
@pytest.mark.parametrize("reader", ["as in params", "auto"])
def test_the_public_sets_are_read_in_their_raw_schema(name, form, dropped, reader, datasets, root):
    source = load_params(root / "params" / "paper.yaml").sources[name]
    source = source if reader == "as in params" else source.model_copy(update={"reader": "auto"})
    rows, facts = read_split(name, source, some_data(), "train")
    assert [(pair.chosen, pair.rejected) for pair in rows.pairs] == [("a", "b")]
    assert dict(rows.dropped) == dropped
    assert (facts.format, facts.container, facts.file) == (form, "hub data set", f"{source.location}/train")
    assert facts.n_rows == sum(dropped.values()) + 1 or name == "oasst1"
    assert facts.revision == f"{source.revision}, not resolved", "a folder has no commit"
    again = read_split(name, source, some_data(), "train")[1]
    assert again == facts
    if source.test is not None:
        assert len(read_split(name, source, some_data(), "test")[0].pairs) == 1


@pytest.mark.slow
def test_a_set_or_split_that_is_not_there_is_one_error(datasets):
    for values in ({"location": "no/where", "train": "train"}, {"location": "OpenAssistant/oasst1", "train": "tain"}):
        with pytest.raises(
            InputError, match=r"params sources\.s: field 'location': .*at abc, from the hub or its cache"
        ):
            read_split("s", a_source("hh", revision="abc", **values), some_data(), "train")


class Rows(list):
    """What a builder gives, as far as the reader looks at it."""

    def iter(self, batch_size):
        for start in range(0, len(self), batch_size):
            rows = self[start : start + batch_size]
            yield {key: [row[key] for row in rows] for key in rows[0]}


class Builder:
    """A hub data set at COMMIT."""

    hash = COMMIT
    info = SimpleNamespace(download_size=77)

    def download_and_prepare(self):
        self.ready = True

    def as_dataset(self, split):
        assert (self.ready, split) == (True, "train")
        return Rows(HH * 600)


@pytest.fixture
def stub(monkeypatch):
    """What `load_dataset_builder` was asked for."""
    asked = {}

    def load_dataset_builder(path, **options):
        asked.update(path=path, **options)
        return Builder()

    exceptions = SimpleNamespace(DatasetsError=RuntimeError)
    stand_in = SimpleNamespace(load_dataset_builder=load_dataset_builder, exceptions=exceptions)
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    return asked


def test_hub_rows_come_from_one_commit_and_folder(stub):
    source = a_source("hh", location="who/what", revision=COMMIT, subset="helpful-base", train="train")
    rows, facts = read_split("s", source, some_data(), "train")
    assert (len(rows.pairs), dict(rows.dropped)) == (600, {"identical": 600})
    assert rows.examples["identical"][0].where == "who/what/train row 2"
    assert stub == {"path": "who/what", "data_dir": "helpful-base", "revision": COMMIT}
    assert (facts.revision, facts.bytes, facts.n_rows) == (COMMIT, 77, 1200)
    with pytest.raises(InputError, match=r"params sources\.s\.test"):
        read_split("s", source, some_data(), "test")


def test_a_branch_is_shown_beside_the_commit_that_it_stood_for(stub):
    source = a_source("hh", location="who/what", revision="refs/convert/parquet", train="train")
    assert read_split("s", source, some_data(), "train")[1].revision == f"{COMMIT}, asked for as refs/convert/parquet"


def test_another_commit_than_the_pinned_one_is_refused(stub):
    """Without a network `datasets` takes the newest commit of its cache, whatever was asked for."""
    source = a_source("hh", location="who/what", revision="f" * 40, train="train")
    with pytest.raises(InputError, match=f"field 'revision': found '{COMMIT}', expected commit {'f' * 40}"):
        read_split("s", source, some_data(), "train")


@pytest.mark.parametrize("location", ["../what", "/etc", "who/what/more", "who/../what", "here"])
def test_a_hub_id_is_never_a_path(location, stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(InputError, match="a hub id, and no folder of that name here"):
        read_split("s", a_source("hh", location=location, revision="abc", train="train"), some_data(), "train")
    assert not stub
