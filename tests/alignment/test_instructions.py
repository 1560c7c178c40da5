import gzip
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from more_repro.alignment.policies import instruction_tuning
from more_repro.alignment.policies.instruction_data import read_instructions
from more_repro.files.rows import InputError
from more_repro.lm import base_files, bases
from more_repro.params import Instructions
from more_repro.paths import Paths

# Rows in the raw format of tatsu-lab/alpaca, whose own column `text` is the three others in a template.
ROWS = [
    {"instruction": "Name the primary colours.", "input": "", "output": "Red, yellow, blue.", "text": "Below is"},
    {"instruction": "Put the words in order.", "input": "pear, apple", "output": "apple, pear", "text": "Below is"},
    {"instruction": "Say nothing.", "input": "", "output": "  ", "text": "Below is"},
    {"instruction": "Name the primary colours.", "input": "", "output": "Red, yellow, blue.", "text": "Below is"},
]
SFT = {"batch_size": 2, "epochs": 4, "learning_rate": 1e-2, "warmup_ratio": 0.1, "lora": None, "checkpoint_steps": 2}


def settings(train, **changes):
    return Instructions(**{"location": None, "revision": None, "train": train, "sft": SFT, **changes})


def one_by_one(function, jobs, label, preload=()):
    return [function(job) for job in jobs]


def write_rows(folder, name, rows=ROWS):
    path = folder / name
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def taught(params, inputs_of, tmp_path, monkeypatch):
    monkeypatch.setattr(instruction_tuning, "run_jobs", one_by_one)
    write_rows(tmp_path, "alpaca.jsonl")
    align = params.align.model_copy(update={"instructions": settings("alpaca.jsonl")})
    data = params.data.model_copy(update={"folder": str(tmp_path)})
    params = params.model_copy(update={"align": align, "data": data})
    paths = Paths("tiny", tmp_path)
    inputs_of(params, paths)
    return params, paths


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet", "a.csv", "a.jsonl.gz"])
def test_a_row_is_one_message_of_the_user_and_a_response(name, tmp_path):
    write_rows(tmp_path, name)
    rows = read_instructions(settings(name), tmp_path)
    assert (rows.n_rows, rows.n_empty) == (4, 1)
    assert json.loads(rows.texts[0].prompt) == [["user", "Name the primary colours."]]
    assert json.loads(rows.texts[1].prompt) == [["user", "Put the words in order.\n\npear, apple"]]
    assert rows.texts[1].response == "apple, pear"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"instruction": "a", "output": "b"}\n{"instruction": "a"',
            r"a.jsonl:2:20: field 'JSON': .*expected ',' or the closing bracket",
        ),
        ('{"instruction": "a", "output": "b"}\n{"instruction": "a"}', r"a.jsonl:2: field 'output': found 'nothing'"),
        ('\n{"instruction": 3, "output": "b"}', r"a.jsonl:2: field 'instruction': found 3, expected text"),
        ('{"instruction": "a", "output": null}', r"a.jsonl:1: field 'output': found None, expected text"),
        ('{"instruction": "a", "input": [], "output": "b"}', r"a.jsonl:1: field 'input': found \[\], expected text"),
        ('{"instruction": "a", "output": "b", "output": "c"}', r"a.jsonl:1: field 'output': .*expected each key once"),
        ('{"instruction": "\\ud800", "output": "b"}', r"a.jsonl:1: field 'instruction': .*expected whole characters"),
        ("null", r"a.jsonl:1: field 'row': found None, expected an object"),
        ("", r"a.jsonl: field 'file': found 'nothing', expected at least one row"),
        ('{"instruction": "a", "output": ""}', r"field 'rows': found 1, expected one with an output"),
    ],
)
def test_a_broken_row_is_a_located_error(text, message, tmp_path):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(InputError, match=message):
        read_instructions(settings("a.jsonl"), tmp_path)


def test_a_broken_file_is_a_located_error(tmp_path):
    (tmp_path / "latin.json").write_bytes('[\n{"instruction": "\xe9", "output": "b"}]'.encode("latin-1"))
    (tmp_path / "cut.json").write_text('[\n{"instruction": "a"')
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "list.json").write_text('[{"instruction": "a", "output": "b"},\n 3')
    (tmp_path / "a.parquet").write_text("no parquet")
    (tmp_path / "a.txt").write_text("text")
    for name, message in {
        "latin.json": r"latin.json row 1: field 'bytes': found b'\\xe9', expected UTF-8",
        "cut.json": "cut.json:2:20 row 1: field 'JSON'",
        "object.json": "found 'JSON Lines', expected JSON list, as the name says",
        "list.json": "list.json row 2: field 'row': found 3, expected an object",
        "a.parquet": "expected a whole Parquet file",
        "a.txt": r"a.txt: field 'container': found b'text', expected a JSON list",
        "gone.json": r"params align\.instructions\.train: field 'train': found 'gone.json', expected a file",
        "../up.json": "a path inside",
        "/etc/passwd": "a path inside",
    }.items():
        with pytest.raises(InputError, match=message):
            read_instructions(settings(name), tmp_path)


def test_a_hub_set_of_another_commit_is_refused(monkeypatch, tmp_path):
    import datasets

    class Builder:
        hash = "a" * 40
        info = SimpleNamespace(download_size=None)

        def download_and_prepare(self):
            pass

        def as_dataset(self, split):
            return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda location, data_dir, revision: Builder())
    rows = read_instructions(settings("train", location="x/y", revision="a" * 40), tmp_path)
    assert (len(rows.texts), rows.n_empty) == (3, 1)
    with pytest.raises(
        InputError, match=r"params align.instructions: field 'revision': found 'aaa.*expected commit bbb"
    ):
        read_instructions(settings("train", location="x/y", revision="b" * 40), tmp_path)


def test_without_instructions_the_policy_points_at_the_base(study):
    base = study.paths.base(study.params.align.policy)
    assert base_files.origin(study.paths.policy) == (str(base), None)
    assert [path.name for path in study.paths.policy.iterdir()] == ["base.json"]
    one, other = (bases.load_causal_lm(path).state_dict() for path in (base, study.paths.policy))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_taught_policy_is_a_standard_model_that_learned_its_answers(taught):
    params, paths = taught
    row = instruction_tuning.make_policy(params, paths).iloc[0]
    assert (row["n_rows"], row["n_empty"], row["n_cut"], row["n_steps"]) == (4, 1, 0, 6)
    assert row["last_loss"] < row["first_loss"]
    names = {path.name for path in paths.policy.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "base.json"} <= names
    assert not names & {"manifest.json", "fine_tuning.json", "training_args.bin"}
    assert base_files.origin(paths.policy) == (str(paths.policy), None)
    base, policy = paths.base(params.align.policy), paths.policy
    assert base_files.fingerprint(policy) != base_files.fingerprint(base)
    assert bases.load_tokenizer(policy).get_vocab() == bases.load_tokenizer(base).get_vocab()
    assert not (paths.scratch / "policy" / "checkpoints").exists()


def test_a_finished_policy_is_taken_from_scratch_unless_it_is_damaged(taught, monkeypatch):
    params, paths = taught
    first = instruction_tuning.make_policy(params, paths)
    weights = (paths.policy / "model.safetensors").read_bytes()
    tuned = []
    monkeypatch.setattr(
        instruction_tuning, "run_jobs", lambda function, jobs, *rest: tuned.append(one_by_one(function, jobs, ""))
    )
    assert instruction_tuning.make_policy(params, paths).equals(first)
    assert tuned == []
    (kept,) = (paths.scratch / "policy").iterdir()
    (kept / "model.safetensors").write_bytes(weights[:-1])
    assert instruction_tuning.make_policy(params, paths).equals(first)
    assert len(tuned) == 1
    assert (paths.policy / "model.safetensors").read_bytes() == weights
    write_rows(paths.root, "alpaca.jsonl", ROWS[1:])
    assert not instruction_tuning.make_policy(params, paths).equals(first)


def test_a_killed_teaching_goes_on_to_the_same_policy(taught, monkeypatch, tmp_path):
    params, paths = taught
    instruction_tuning.make_policy(params, paths)
    weights = (paths.policy / "model.safetensors").read_bytes()
    (kept,) = (paths.scratch / "policy").iterdir()
    kept.rename(tmp_path / "away")
    fine_tune = instruction_tuning.fine_tune

    def die(step):
        if step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instruction_tuning, "fine_tune", lambda *a, **k: fine_tune(*a, **k, after_step=die))
        with pytest.raises(KeyboardInterrupt):
            instruction_tuning.make_policy(params, paths)
    seen = []
    monkeypatch.setattr(instruction_tuning, "fine_tune", lambda *a, **k: fine_tune(*a, **k, after_step=seen.append))
    row = instruction_tuning.make_policy(params, paths).iloc[0]
    assert seen == [5, 6]
    assert np.isfinite(row["first_loss"])
    assert (paths.policy / "model.safetensors").read_bytes() == weights
