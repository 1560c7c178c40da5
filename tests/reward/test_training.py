import dataclasses
import itertools
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_study import write_study

from more_repro.engine.head_gradients import NonFiniteLossError
from more_repro.engine.optimizer import learning_rate_share
from more_repro.engine.weighting import MODULES
from more_repro.params import Lora
from more_repro.reward import grid
from more_repro.reward import jobs as job_module
from more_repro.reward.jobs import TrainJob, fingerprint
from more_repro.reward.step_plan import make_plan
from more_repro.reward.training import train_reward_model
from more_repro.store.code_key import import_closure, is_inert

# Names, files, words and defaults; tokenizers and weights of the base are in the fingerprint by their bytes.
CHANGE_NO_NUMBER = {
    *(f"params/{name}.py" for name in ("__init__", "loading", "presets", "sections", "study", "yaml_text")),
    *(
        "progress.py",
        "records.py",
        "schemes.py",
        "store/code_key.py",
        "store/atomic.py",
        "store/digests.py",
        "store/folder.py",
        "tables.py",
    ),
    *("engine/__init__.py", "engine/checkpoint.py", "engine/weighting/__init__.py"),
    *("lm/causal.py", "lm/device.py", "lm/tokenizers.py"),
    *("reward/code_digest.py", "reward/jobs.py", "reward/model_store.py"),
}


class Killed(Exception):
    """Stands for a kill between two steps."""


def kill_at(step):
    def after_step(done):
        if done == step:
            raise Killed

    return after_step


@pytest.fixture
def job(study) -> TrainJob:
    params, paths = study
    return grid.jobs(params, paths, "nano", "more")[0]


def elsewhere(job: TrainJob, folder: Path) -> TrainJob:
    return dataclasses.replace(job, out=folder / "out", scratch=folder / "scratch")


def assert_same(job_a, result_a, job_b, result_b):
    weights_a, weights_b = (load_file(one.out / "model.safetensors") for one in (job_a, job_b))
    assert weights_a.keys() == weights_b.keys()
    for name in weights_a:
        assert torch.equal(weights_a[name], weights_b[name]), name
    assert result_a.log == result_b.log
    assert (result_a.n_tokens, result_a.padding_share) == (result_b.n_tokens, result_b.padding_share)


LORA = Lora(rank=2, alpha=4.0, targets=None)


@pytest.mark.parametrize(
    ("weighting", "stop", "lora"),
    [
        ("more", 1, None),
        ("more", 5, None),
        ("random", 3, None),
        ("more", 3, LORA),
        *(pytest.param(name, 3, None, marks=pytest.mark.slow) for name in sorted({*MODULES} - {"more", "random"})),
    ],
)
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(job, tmp_path, weighting, stop, lora):
    weights = dict.fromkeys(job.sources, 1.0)
    scheme = job.scheme.model_copy(update={"weighting": weighting, "alpha": 0.3, "weights": weights})
    job = dataclasses.replace(job, scheme=scheme, rm=job.rm.model_copy(update={"lora": lora}))
    whole = elsewhere(job, tmp_path / "whole")
    expected = train_reward_model(whole)
    stopped = elsewhere(job, tmp_path / "stopped")
    with pytest.raises(Killed):
        train_reward_model(stopped, kill_at(stop))
    assert not stopped.out.exists()
    steps = []
    result = train_reward_model(stopped, steps.append)
    assert steps[0] == stop - stop % job.rm.checkpoint_steps + 1
    assert_same(whole, expected, stopped, result)


@pytest.mark.slow
def test_kill_minus_nine_and_resume_equals_uninterrupted(job, tmp_path):
    whole, killed = elsewhere(job, tmp_path / "whole"), elsewhere(job, tmp_path / "killed")
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(killed))
    code = (
        "import os, pickle, pathlib, signal\n"
        "from more_repro.reward.training import train_reward_model\n"
        f"job = pickle.loads(pathlib.Path({str(tmp_path / 'job.pickle')!r}).read_bytes())\n"
        "train_reward_model(job, lambda done: os.kill(os.getpid(), signal.SIGKILL) if done == 5 else None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert ended.returncode == -signal.SIGKILL
    steps = []
    result = train_reward_model(killed, steps.append)
    assert steps == [5, 6]
    assert_same(whole, train_reward_model(whole), killed, result)


def test_a_finished_model_is_reused_after_its_output_was_deleted(job):
    first = train_reward_model(job)
    bytes_before = (job.out / "model.safetensors").read_bytes()
    (job.out / "model.safetensors").unlink()
    steps = []
    again = train_reward_model(job, steps.append)
    assert steps == []
    assert again == first
    assert (job.out / "model.safetensors").read_bytes() == bytes_before
    assert not list(job.out.glob("*manifest*"))


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
        "adapters": dataclasses.replace(job, rm=job.rm.model_copy(update={"lora": LORA})),
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
    other = elsewhere(job, tmp_path)
    other = dataclasses.replace(other, rm=job.rm.model_copy(update={"checkpoint_steps": 77}))
    assert fingerprint(other) == fingerprint(job)


def test_only_the_code_of_its_own_weighting_counts(job, monkeypatch):
    seen = []
    monkeypatch.setattr(job_module, "code_digest", lambda names: seen.extend(names) or "code")
    fingerprint(job)
    assert {name for name in seen if "/weighting/" in name} == {
        "engine/weighting/more.py",
        "engine/weighting/gram.py",
        "engine/weighting/min_norm.py",
    }
    assert {"engine/step.py", "engine/batching/token_pairs.py", "lm/encoding.py"} <= set(seen)


def test_all_code_that_training_imports_counts_but_what_changes_no_number(job):
    """A module that is new in the engine must be named in the fingerprint, or old models would outlive its edits."""
    package = Path(job_module.__file__).parents[1]
    closure = {path.relative_to(package).as_posix() for path in import_closure(package / "reward/training.py", package)}
    named = {*job_module._CODE, *(f"engine/weighting/{name}" for names in MODULES.values() for name in names)}
    assert {name for name in named if not (package / name).is_file()} == set()
    assert {name for name in closure - named if not is_inert(package / name)} == CHANGE_NO_NUMBER


def test_code_changes_the_fingerprint(job, monkeypatch):
    before = fingerprint(job)
    monkeypatch.setattr(job_module, "code_digest", lambda names: "other code")
    assert fingerprint(job) != before


def test_replay_trains_the_same_model(job, tmp_path):
    graph, replay = elsewhere(job, tmp_path / "graph"), elsewhere(job, tmp_path / "replay")
    no_room = dataclasses.replace(replay, rm=job.rm.model_copy(update={"memory_limit_gib": 1e-9}))
    results = [train_reward_model(graph), train_reward_model(no_room)]
    assert results[0].log["loss"] != []
    assert torch.allclose(*(torch.tensor(result.log["loss"]) for result in results), atol=1e-4)
    assert torch.allclose(*(torch.tensor(result.log["lambda"]) for result in results), atol=1e-3)


def test_a_changed_run_starts_fresh_and_says_so(job, capsys):
    with pytest.raises(Killed):
        train_reward_model(job, kill_at(5))
    steps = []
    train_reward_model(changes(job)["learning rate"], steps.append)
    assert steps[0] == 1
    assert "training starts fresh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "damage"),
    [("model.safetensors", "cut"), ("optimizer.safetensors", "gone"), ("state.json", "cut"), ("manifest.json", "gone")],
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(job, tmp_path, capsys, file, damage):
    whole, stopped = elsewhere(job, tmp_path / "whole"), elsewhere(job, tmp_path / "stopped")
    with pytest.raises(Killed):
        train_reward_model(stopped, kill_at(5))
    newest = sorted((stopped.scratch / "checkpoints" / str(job.model)).glob("step*"))[-1]
    target = newest / file
    if damage == "cut":
        target.write_bytes(target.read_bytes()[:-3])
    else:
        target.unlink()
    steps = []
    result = train_reward_model(stopped, steps.append)
    assert steps[0] == 3
    assert "falling back" in capsys.readouterr().err
    assert_same(whole, train_reward_model(whole), stopped, result)


def test_only_the_last_two_checkpoints_are_kept(job):
    job = dataclasses.replace(job, steps=12)
    with pytest.raises(Killed):
        train_reward_model(job, kill_at(11))
    folder = job.scratch / "checkpoints" / str(job.model)
    assert sorted(path.name for path in folder.iterdir()) == ["step00000008", "step00000010"]


def test_a_damaged_finished_model_is_made_again(job, capsys):
    first = train_reward_model(job)
    kept = job.scratch / "finished" / fingerprint(job) / "model.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1])
    again = train_reward_model(job)
    assert again == first
    assert "made again" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(job, monkeypatch):
    from more_repro.engine import objective

    calls = []

    def poisoned(margins):
        calls.append(None)
        return torch.full_like(margins, float("nan")) if len(calls) == 4 else -torch.nn.functional.logsigmoid(margins)

    monkeypatch.setattr(objective, "pair_losses", poisoned)
    with pytest.raises(NonFiniteLossError) as caught:
        train_reward_model(job)
    assert any("step 4 of 6" in note for note in caught.value.__notes__)
    assert not job.out.exists()


def test_a_step_takes_b_pairs_of_each_source_in_mixture_order(job):
    plan = make_plan(job)
    assert plan.pairs.chosen.shape == (6, 3, 4)
    from more_repro.reward.jobs import EncodeJob
    from more_repro.reward.token_store import encoded_pairs

    encoded = encoded_pairs(EncodeJob(job.base, job.pairs[0], job.rm.max_length, job.scratch))
    index = encoded.index()
    expected = [int(encoded.chosen[index[pair_id]]) for pair_id in job.rows[0]]
    assert plan.pairs.chosen[:, 0].reshape(-1).tolist() == expected


def test_single_uses_the_same_number_of_steps(study):
    params, paths = study
    jobs = [grid.jobs(params, paths, "nano", scheme)[0] for scheme in ("single", "multitask")]
    assert [job.steps for job in jobs] == [6, 6]
    assert [len(job.sources) for job in jobs] == [1, 3]


def test_training_learns_a_rule_in_the_data(study):
    """Twice the same pairs: the loss at the end lies below the loss at the start."""
    params, paths = study
    job = grid.jobs(params, paths, "nano", "multitask")[0]
    result = train_reward_model(dataclasses.replace(job, steps=60, learning_rate=1e-2))
    first, last = (torch.tensor(result.log["loss"][part]).mean() for part in (slice(0, 6), slice(-6, None)))
    assert last < 0.8 * first


def test_more_at_alpha_zero_keeps_the_first_gradient(job):
    frozen = dataclasses.replace(
        job, scheme=job.scheme.model_copy(update={"weighting": "more", "alpha": 0.0, "normalization": "l2"})
    )
    lambdas = train_reward_model(frozen).log["lambda"]
    assert all(row == lambdas[0] for row in lambdas)


def test_pair_that_the_table_lacks_is_named(job):
    broken = dataclasses.replace(job, rows=(("nope", *job.rows[0][1:]), *job.rows[1:]))
    with pytest.raises(ValueError, match=r"train\.parquet: the mixture asks for pair 'nope'"):
        train_reward_model(broken)


def test_sources_of_different_length_are_refused(job):
    with pytest.raises(ValueError, match="equally many pairs"):
        train_reward_model(dataclasses.replace(job, rows=(job.rows[0][:-1], *job.rows[1:])))


def test_equal_pairs_are_left_out_and_counted(job, tmp_path):
    params, paths = write_study(tmp_path / "short", n_train=200)
    short = params.model_copy(update={"rm": params.rm.model_copy(update={"max_length": 2})})
    plan = make_plan(grid.jobs(short, paths, "nano", "multitask")[0])
    assert plan.n_equal > 0
    assert plan.n_truncated == 600
    assert not bool((plan.pairs.chosen == plan.pairs.rejected).any())
    none_left = params.model_copy(update={"rm": params.rm.model_copy(update={"max_length": 1})})
    with pytest.raises(ValueError, match="equal after truncation to 1 tokens"):
        make_plan(grid.jobs(none_left, paths, "nano", "multitask")[0])


def test_learning_rate_warms_up_and_falls_to_its_final_share():
    shares = [learning_rate_share(step, 100, 0.05, 0.1) for step in range(100)]
    assert shares[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert shares[-1] == pytest.approx(0.1)
    assert all(later < sooner for sooner, later in itertools.pairwise(shares[5:]))
    assert learning_rate_share(0, 1, 0.0, 0.1) == 1.0
