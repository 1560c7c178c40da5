"""Ingest depends on what local files hold, whatever their size and date say."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from more_repro.alignment.judges.chat.endpoint import BASE_URL, KEY, MODEL
from more_repro.nb.pipeline.inputs import write_inputs, write_judge
from more_repro.params import Params, load_params, resolved_text
from more_repro.paths import Paths


@pytest.fixture
def own(root: Path, tmp_path: Path) -> Params:
    params = load_params(root / "params" / "own.yaml")
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("helpful.train.json", "helpful.test.json", "domain_specific.train.json"):
        (folder / name).write_text(name)
    return params.model_copy(update={"data": params.data.model_copy(update={"folder": str(folder)})})


def test_every_local_file_that_is_named_has_its_digest(own: Params, tmp_path: Path) -> None:
    paths = Paths("own", tmp_path)
    digests = write_inputs(own, paths)
    assert json.loads(paths.inputs.read_text()) == digests
    assert len(digests) == 2 * len(own.sources)
    assert digests["helpful.train"] == hashlib.sha256(b"helpful.train.json").hexdigest()
    assert digests["academy.train"] == digests["business.train"]
    assert digests["webgpt.train"] == "", "ingest says that it is missing"
    before = paths.inputs.read_bytes()
    write_inputs(own, paths)
    assert paths.inputs.read_bytes() == before


def test_a_local_file_of_instructions_has_its_digest(root: Path, own: Params, tmp_path: Path) -> None:
    taught = load_params(root / "params" / "paper.yaml").align.instructions
    assert taught is not None
    taught = taught.model_copy(update={"location": None, "revision": None, "train": "instructions.jsonl"})
    params = own.model_copy(update={"align": own.align.model_copy(update={"instructions": taught})})
    assert write_inputs(params, Paths("own", tmp_path))["align.instructions"] == ""
    (Path(params.data.folder) / "instructions.jsonl").write_text("{}")
    expected = hashlib.sha256(b"{}").hexdigest()
    assert write_inputs(params, Paths("own", tmp_path))["align.instructions"] == expected


def test_studies_without_local_files_read_none_and_load_no_reader(root: Path, tmp_path: Path) -> None:
    for name in ("small", "paper"):
        assert write_inputs(load_params(root / "params" / f"{name}.yaml"), Paths(name, tmp_path)) == {}
    code = (
        "import more_repro.nb.pipeline.inputs, more_repro.params, sys; "
        "print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_path_that_leads_out_of_the_folder_is_not_read(own: Params, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    out = own.sources["helpful"].model_copy(update={"train": "../secret", "test": None})
    digests = write_inputs(own.model_copy(update={"sources": {"helpful": out}}), Paths("own", tmp_path))
    assert digests == {"helpful.train": ""}


@pytest.mark.parametrize("name", ["a\0b", "n" * 300, "loop", "gone"])
def test_names_that_no_file_can_have_and_files_that_go_away_have_no_digest(
    name: str, own: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(own.data.folder) / "loop").symlink_to(Path(own.data.folder) / "loop")
    if name == "gone":
        monkeypatch.setattr("more_repro.nb.pipeline.inputs._found", lambda *_: tmp_path / "gone")
    source = own.sources["helpful"].model_copy(update={"train": name, "test": None})
    digests = write_inputs(own.model_copy(update={"sources": {"helpful": source}}), Paths("own", tmp_path))
    assert digests == {"helpful.train": ""}


@pytest.mark.slow
def test_a_file_of_the_same_size_and_date_but_other_content_is_read_afresh(root: Path, tmp_path: Path) -> None:
    """The real stage `inputs`, and one that depends on it as ingest does."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    made = "data/${profile}/inputs.json"
    assert made in stages["ingest"]["deps"]
    look = {"cmd": "cp own/helpful.train.json seen.json", "deps": [made], "outs": ["seen.json"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"inputs": stages["inputs"], "look": look}}))
    (tmp_path / "params.yaml").write_text(resolved_text(root / "params" / "own.yaml"))
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "helpful.train.json"
    file.write_text("one")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def repro(*words: str) -> str:
        return subprocess.run(
            ["dvc", *words], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True
        ).stdout

    repro("init", "--no-scm", "-q")
    assert "Running stage 'look'" in repro("repro")
    assert "Running stage 'look'" not in repro("repro"), "nothing changed"
    before = file.stat()
    with file.open("r+") as handle:
        handle.write("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert "Running stage 'look'" in repro("repro")
    assert (tmp_path / "seen.json").read_text() == "two"


def judged_by(params: Params, **changes: str) -> Params:
    return params.model_copy(update={"judge": params.judge.model_copy(update=changes)})


def test_a_judge_without_settings_of_its_own_is_named_by_its_kind(root: Path, tmp_path: Path) -> None:
    paths = Paths("small", tmp_path)
    assert write_judge(load_params(root / "params" / "small.yaml"), paths) == {"kind": "oracle"}
    assert json.loads(paths.judge.read_text()) == {"kind": "oracle"}


def test_a_chat_judge_is_named_by_model_and_address_and_never_by_its_key(
    own: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, params = Paths("own", tmp_path), judged_by(own, kind="chat")
    for name in (BASE_URL, MODEL, KEY):
        monkeypatch.delenv(name, raising=False)
    assert write_judge(params, paths) == {"kind": "chat", "model": "", "base_url": ""}
    monkeypatch.setenv(BASE_URL, "https://me:hidden-1@host:8000/v1/?key=hidden-2")
    monkeypatch.setenv(MODEL, "judge-7b")
    monkeypatch.setenv(KEY, "hidden-3")
    assert write_judge(params, paths) == {"kind": "chat", "model": "judge-7b", "base_url": "https://host:8000/v1"}
    assert "hidden" not in paths.judge.read_text()


def test_a_replayed_judge_is_named_by_what_its_file_holds(own: Params, tmp_path: Path) -> None:
    paths = Paths("own", tmp_path)
    (tmp_path / "own" / "replies.jsonl").write_text("text")
    named = write_judge(judged_by(own, kind="replay", replay="replies.jsonl"), paths)
    assert named == {"kind": "replay", "sha256": hashlib.sha256(b"text").hexdigest()}
    for name in ("none.jsonl", "../replies.jsonl", "a\0b"):
        assert write_judge(judged_by(own, kind="replay", replay=name), paths)["sha256"] == ""
