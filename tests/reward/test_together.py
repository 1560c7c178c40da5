import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file

from more_repro.engine.model import load_reward_model, score
from more_repro.reward import grid, torchrun
from more_repro.reward.jobs import fingerprint
from more_repro.reward.training import train_reward_model
from tiny_models import random_sequences


@pytest.fixture
def job(study):
    params, paths = study
    return grid.jobs(params, paths, "nano", "more")[0]


def by(processes, job, folder=None):
    job = dataclasses.replace(job, rm=job.rm.model_copy(update={"processes": processes}))
    return job if folder is None else dataclasses.replace(job, out=folder / "out", scratch=folder / "scratch")


def test_a_model_of_two_processes_is_never_trained_by_one(job):
    with pytest.raises(RuntimeError, match=r"runs on 1 process\(es\), rm.processes asks for 2"):
        train_reward_model(by(2, job))
    assert not job.out.exists()


def test_one_process_starts_nothing(job, monkeypatch):
    started = []
    monkeypatch.setattr(torchrun, "_run", started.append)
    torchrun.train_together([job], "one")
    assert started == []


def test_output_comes_line_by_line_and_a_failure_holds_the_last_lines(capsys):
    torchrun._run([sys.executable, "-c", "import sys; print('said'); print('warned', file=sys.stderr)"])
    assert {"said", "warned"} == set(capsys.readouterr().err.split())
    with pytest.raises(torchrun.TogetherError, match=r"(?s)ended with status 3; .*the last word"):
        torchrun._run([sys.executable, "-c", "print('the last word'); raise SystemExit(3)"])


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(job, tmp_path, capfd):
    one, two = by(1, job, tmp_path / "one"), by(2, job, tmp_path / "two")
    expected = train_reward_model(one)
    torchrun.train_together([two], "models")
    assert "models 1/1" in capfd.readouterr().err
    steps = []
    found = train_reward_model(two, steps.append)
    assert steps == []
    assert fingerprint(one) != fingerprint(two)
    assert expected.n_tokens == found.n_tokens
    for name in ("loss", "lambda", "margin", "head_gradient_norm"):
        assert torch.allclose(torch.tensor(expected.log[name]), torch.tensor(found.log[name]), atol=1e-4), name
    # The gradient of these two is zero but for rounding, of which AdamW makes full steps; no margin depends on them.
    no_gradient = ("query_key_value.bias", "final_layer_norm.bias")
    weights = [load_file(made.out / "model.safetensors") for made in (one, two)]
    for name in weights[0]:
        if not name.endswith(no_gradient):
            assert torch.allclose(weights[0][name], weights[1][name], atol=2e-4), name
    sequences = random_sequences(20, vocabulary=40)
    rewards = [score(load_reward_model(made.out), sequences) for made in (one, two)]
    assert torch.allclose(*(each - each.mean() for each in rewards), atol=1e-3)


@pytest.mark.slow
def test_what_a_process_raises_is_shown(job, tmp_path):
    broken = dataclasses.replace(by(2, job, tmp_path), rows=(("nope", *job.rows[0][1:]), *job.rows[1:]))
    with pytest.raises(torchrun.TogetherError):
        torchrun._run(
            [sys.executable, "-m", "more_repro.reward.torchrun_main", "2", str(pickled(broken, tmp_path)), "models"]
        )


def pickled(job, folder):
    file = folder / "jobs.pickle"
    file.write_bytes(pickle.dumps([job]))
    return file


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(job, tmp_path):
    long = dataclasses.replace(by(2, job, tmp_path), steps=100_000)
    command = [sys.executable, "-m", "more_repro.reward.torchrun_main", "2", str(pickled(long, tmp_path)), "models"]
    code = f"from more_repro.reward import torchrun; torchrun._run({command!r})"
    parent = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.DEVNULL)
    started = tmp_path / "scratch" / "unfinished"
    deadline = time.monotonic() + 120
    while not list(started.rglob("step*")) and time.monotonic() < deadline and parent.poll() is None:
        time.sleep(0.2)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 3  # torchrun and two processes
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
