import dataclasses
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

from more_repro.engine import MoreTrainer
from more_repro.engine.batching.step_layout import passes
from more_repro.engine.head_gradients import NonFiniteLossError
from more_repro.engine.training_plan import TrainingPlan
from more_repro.engine.weighting import WEIGHTINGS
from more_repro.lm.bases import load_sequence_classifier, load_tokenizer
from more_repro.params import Lora
from more_repro.records import PreferencePair
from more_repro.reward import grid
from more_repro.reward.jobs import TrainJob, fingerprint
from more_repro.reward.step_plan import make_plan
from more_repro.reward.token_store import read_pairs
from more_repro.reward.training import train_reward_model, training_settings


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


def plan_of(job: TrainJob) -> TrainingPlan:
    return make_plan(job, training_settings(job))


LORA = Lora(rank=2, alpha=4.0, targets=None)
OTHERS = sorted({*WEIGHTINGS.names()} - {"more", "random", "torchjd"})


@pytest.mark.parametrize(
    ("weighting", "stop", "lora"),
    [
        ("more", 1, None),
        ("more", 5, None),
        ("random", 3, None),
        ("more", 3, LORA),
        *(pytest.param(name, 3, None, marks=pytest.mark.slow) for name in OTHERS),
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
    assert not training_settings(job).checkpoints.parent.exists()


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
    train_reward_model(dataclasses.replace(job, learning_rate=job.learning_rate * 2), steps.append)
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
    newest = sorted(training_settings(stopped).checkpoints.glob("step*"))[-1]
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
    folder = training_settings(job).checkpoints
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
    plan = plan_of(job)
    assert plan.pairs.chosen.shape == (6, 3, 4)
    from more_repro.reward.jobs import EncodeJob
    from more_repro.reward.token_store import encoded_pairs

    encoded = encoded_pairs(EncodeJob(job.base, job.pairs[0], job.rm.max_length, job.scratch))
    index = encoded.index()
    expected = [int(encoded.chosen[index[pair_id]]) for pair_id in job.rows[0]]
    assert plan.pairs.chosen[:, 0].reshape(-1).tolist() == expected


def test_a_model_of_the_study_is_the_one_that_more_trainer_makes_of_the_same_rows(job, tmp_path):
    """Rows in TRL's format, drawn by the trainer's own seed; the study is given the order that this seed draws."""
    args = dataclasses.replace(training_settings(job), output_dir=tmp_path, scratch_checkpoints=False)
    pairs = [read_pairs(path) for path in job.pairs]
    rows = {source: [as_row(pair) for pair in own] for source, own in zip(job.sources, pairs, strict=True)}
    direct = MoreTrainer(load_sequence_classifier(job.base, args.seed), args, rows, load_tokenizer(job.base))
    direct.train()
    direct.save_model()
    generator = torch.Generator().manual_seed(args.seed)
    drawn = [passes(len(own), job.steps, args.per_source_batch_size, generator).flatten() for own in pairs]
    order = tuple(tuple(own[row].pair_id for row in places.tolist()) for own, places in zip(pairs, drawn, strict=True))
    result = train_reward_model(dataclasses.replace(job, rows=order))
    ours, theirs = load_file(job.out / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert result.log == {name: column.tolist() for name, column in direct.log.items() if name != "n_tokens"}
    assert torch.std(torch.tensor(result.log["lambda"])) > 0.01


def as_row(pair: PreferencePair) -> dict:
    def messages(turns):
        return [{"role": turn.role, "content": turn.content} for turn in turns]

    chosen, rejected = ([{"role": "assistant", "content": text}] for text in (pair.chosen, pair.rejected))
    return {"prompt": messages(pair.prompt), "chosen": chosen, "rejected": rejected}


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
    plan = plan_of(grid.jobs(short, paths, "nano", "multitask")[0])
    assert plan.n_equal > 0
    assert plan.n_truncated == 600
    assert not bool((plan.pairs.chosen == plan.pairs.rejected).any())
    none_left = params.model_copy(update={"rm": params.rm.model_copy(update={"max_length": 1})})
    with pytest.raises(ValueError, match="helpful: every pair is equal after truncation to 1 tokens") as caught:
        plan_of(grid.jobs(none_left, paths, "nano", "multitask")[0])
    assert caught.value.__notes__ == ["in the steps of nano/resampled/multitask/mixture/seed0"]
