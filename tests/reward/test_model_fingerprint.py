"""The name of a model: equal names, equal numbers; and what must not change a name, does not."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from more_repro.engine.losses import LOSSES
from more_repro.engine.weighting import WEIGHTINGS, weighting_module
from more_repro.params import Lora
from more_repro.reward import grid
from more_repro.reward.jobs import EncodeJob, TrainJob, encoded_path, fingerprint
from more_repro.store import code_key
from more_repro.store.code_key import import_closure, is_inert

# Reading params and tables, keeping results, showing progress, and how a base is made: its bytes are in the name.
# (reward/jobs.py is left out as well: it names jobs, and names modules in strings that do not train.)
TABLES = (
    *("__init__", "alignment", "calibration", "checked", "column", "comparisons", "definitions", "diversity", "ingest"),
    *("judging", "paper", "regression", "shared", "training"),
)
CHANGE_NO_NUMBER = {
    *("progress.py", "registry.py", "schemes.py"),
    *(f"tables/{name}.py" for name in TABLES),
    *(f"params/{name}.py" for name in ("__init__", "loading", "presets", "sections", "study", "yaml_text")),
    *(f"store/{name}.py" for name in ("atomic", "checkpoint", "code_key", "digests", "folder")),
    *(f"lm/{name}.py" for name in ("causal", "tokenizers", "training")),
    "stats/random.py",  # of pretraining's batches
    "reward/model_store.py",
}


@pytest.fixture
def job(study) -> TrainJob:
    params, paths = study
    return grid.jobs(params, paths, "nano", "more")[0]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of this package, whose code is what counts as long as the test lasts."""
    copy = tmp_path / "copy" / "more_repro"
    shutil.copytree(code_key.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_key, "PACKAGE", copy)
    code_key.code_key.cache_clear()
    yield copy
    code_key.code_key.cache_clear()


def after_edit(package: Path, name: str, job: TrainJob) -> str:
    """The job's fingerprint with one module of the package edited, and then put back."""
    file = package / name
    text = file.read_text()
    file.write_text(text + "\nEDITED = 1\n")
    code_key.code_key.cache_clear()
    found = fingerprint(job)
    file.write_text(text)
    code_key.code_key.cache_clear()
    return found


def with_weighting(job: TrainJob, name: str) -> TrainJob:
    return dataclasses.replace(job, scheme=job.scheme.model_copy(update={"weighting": name}))


def changes(job: TrainJob) -> dict[str, TrainJob]:
    reordered = (tuple(reversed(job.rows[0])), *job.rows[1:])
    return {
        "learning rate": dataclasses.replace(job, learning_rate=job.learning_rate * 2),
        "mixture": dataclasses.replace(job, rows=reordered),
        "batch": dataclasses.replace(job, rm=job.rm.model_copy(update={"pairs_per_source_per_batch": 3})),
        "scheme": dataclasses.replace(job, scheme=job.scheme.model_copy(update={"alpha": 0.5})),
        "seed": dataclasses.replace(job, model=dataclasses.replace(job.model, seed=9)),
        "steps": dataclasses.replace(job, steps=job.steps - 1),
        "processes": dataclasses.replace(job, rm=job.rm.model_copy(update={"processes": 2})),
        "adapters": dataclasses.replace(
            job, rm=job.rm.model_copy(update={"lora": Lora(rank=2, alpha=4.0, targets=None)})
        ),
    }


def test_every_change_of_params_or_data_changes_the_fingerprint(job):
    found = {name: fingerprint(changed) for name, changed in changes(job).items()}
    assert len({fingerprint(job), *found.values()}) == len(found) + 1


def test_base_weights_change_the_fingerprint(job):
    before = fingerprint(job)
    weights = job.base / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert fingerprint(job) != before


def test_what_changes_no_number_keeps_the_fingerprint(job, tmp_path):
    other = dataclasses.replace(job, out=tmp_path / "out", scratch=tmp_path / "scratch")
    other = dataclasses.replace(other, rm=job.rm.model_copy(update={"checkpoint_steps": 77}))
    assert fingerprint(other) == fingerprint(job)


def test_of_the_weightings_only_its_own_code_counts(job, package):
    solver = "engine/weighting/solvers"
    own = {
        "more": {"engine/weighting/more.py", f"{solver}/gram.py", f"{solver}/min_norm.py"},
        "uniform": {"engine/weighting/uniform.py"},
        "pcgrad": {"engine/weighting/pcgrad.py", f"{solver}/gram.py"},
    }
    files = {path.relative_to(package).as_posix() for path in (package / "engine/weighting").rglob("[!_]*.py")}
    for name, expected in own.items():
        mine = with_weighting(job, name)
        before = fingerprint(mine)
        assert {file for file in files if after_edit(package, file, mine) != before} == expected


def test_of_the_loss_terms_only_its_own_code_counts(job, package):
    mine = dataclasses.replace(job, scheme=job.scheme.model_copy(update={"losses": {"center": 0.1}}))
    before = fingerprint(mine)
    files = [f"engine/losses/{name}.py" for name in LOSSES.names()]
    assert {file for file in files if after_edit(package, file, mine) != before} == {"engine/losses/center.py"}


@pytest.mark.parametrize(
    "name",
    ["engine/step.py", "engine/trainer.py", "engine/batching/token_pairs.py", "lm/encoding.py", "lm/optimizer.py",
     "records.py", "reward/training.py", "reward/token_store.py"],
)  # fmt: skip
def test_code_that_trains_changes_the_fingerprint(job, package, name):
    assert after_edit(package, name, job) != fingerprint(job)


def test_prose_in_code_changes_nothing(job, package):
    before = fingerprint(job)
    file = package / "engine" / "step.py"
    file.write_text(file.read_text().replace('"""One training step', '"""A single training step') + "\n# a remark\n")
    code_key.code_key.cache_clear()
    assert fingerprint(job) == before


def test_all_code_that_training_imports_counts_but_what_changes_no_number(job, monkeypatch):
    """What is left out is named here too: leaving out more must be meant."""
    counted: set[str] = set()
    monkeypatch.setattr(code_key, "code_digest", lambda files: counted.update(names(files)) or "code")
    for weighting in WEIGHTINGS.names():
        code_key.code_key.cache_clear()
        fingerprint(with_weighting(job, weighting))
        assert names([code_key.module_file(weighting_module(weighting))]) <= counted
    for term in LOSSES.names():
        code_key.code_key.cache_clear()
        fingerprint(dataclasses.replace(job, scheme=job.scheme.model_copy(update={"losses": {term: 0.1}})))
    code_key.code_key.cache_clear()
    training = code_key.module_file("more_repro.reward.training")
    closure = import_closure(training, code_key.PACKAGE, without=["more_repro.reward.jobs"])
    assert {name for name in names(closure) - counted if not is_inert(code_key.PACKAGE / name)} == CHANGE_NO_NUMBER


def test_encoded_pairs_follow_the_code_that_encodes_and_no_other(job, package):
    encode = EncodeJob(job.base, job.pairs[0], job.rm.max_length, job.scratch)
    before = encoded_path(encode)
    for name, counts in {"lm/encoding.py": True, "rendering.py": True, "engine/step.py": False}.items():
        file = package / name
        text = file.read_text()
        file.write_text(text + "\nEDITED = 1\n")
        code_key.code_key.cache_clear()
        assert (encoded_path(encode) != before) == counts, name
        file.write_text(text)


def names(files) -> set[str]:
    return {path.relative_to(code_key.PACKAGE).as_posix() for path in files}
