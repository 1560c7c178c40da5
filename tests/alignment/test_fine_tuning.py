import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fine_tuning_run
import numpy as np
import pytest
import torch
from fine_tuning_run import LORA, SETTINGS, random_examples, run, tiny_lm
from safetensors.torch import load_file

from more_repro.alignment.policies import fine_tuning
from more_repro.alignment.policies.fine_tuning import fine_tune
from more_repro.lm import causal, training
from more_repro.lm.encoding import Example


class Killed(Exception):
    """Stands for a kill between two steps."""


def kill_at(step):
    def after_step(done):
        if done == step:
            raise Killed

    return after_step


def assert_equal_weights(a, b):
    a, b = (one if isinstance(one, dict) else one.state_dict() for one in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr("more_repro.progress.say", lines.append)
    return lines


def test_micro_batches_add_up_to_the_large_batch(tmp_path):
    logs, models = [], []
    for number, budget in enumerate((20, 100_000)):
        model = tiny_lm(dropout=0.0)
        settings = replace(SETTINGS, token_budget=budget)
        logs.append(
            fine_tune(model, random_examples(), settings, name="t", checkpoints=tmp_path / str(number), fingerprint="f")
        )
        models.append(model)
    np.testing.assert_allclose(*logs, rtol=1e-5)
    for name, weight in models[0].named_parameters():
        if not name.endswith("query_key_value.bias"):  # a key's bias has no gradient: AdamW moves it by rounding alone
            torch.testing.assert_close(models[1].get_parameter(name), weight, rtol=1e-4, atol=1e-5)


def test_what_a_prompt_would_predict_moves_nothing(tmp_path):
    """The output layer's gradient is (p - onehot) x hidden of the two response tokens, and of nothing else."""
    model = tiny_lm(dropout=0.0)
    example = Example([7, 8, 9, 4, 5], 3)
    training.token_losses(model, [example])[0].sum().backward()
    gradient = model.get_output_embeddings().weight.grad
    hidden = model.base_model(input_ids=torch.tensor([[7, 8, 9, 4]])).last_hidden_state[0, 2:]
    p = torch.softmax(model.get_output_embeddings()(hidden), dim=1)
    p[0, 4] -= 1
    p[1, 5] -= 1
    torch.testing.assert_close(gradient, p.T @ hidden, rtol=1e-4, atol=1e-6)
    only_prompts = [Example([3, 4, 5], 3)] * 8
    with pytest.raises(ValueError, match="t: none of 8 examples has a token after its prompt"):
        fine_tune(model, only_prompts, SETTINGS, name="t", checkpoints=tmp_path, fingerprint="f")


def test_equal_order_for_all_policies(tmp_path, monkeypatch):
    """The batches come from the seed alone, whatever the texts are."""
    orders = []
    real = training.batch_order
    monkeypatch.setattr(training, "batch_order", lambda *given: orders.append(real(*given)) or orders[-1])
    others = [Example(example.ids[::-1], 1) for example in random_examples()]
    for number, (examples, seed) in enumerate([(random_examples(), 0), (others, 0), (others, 1)]):
        settings = replace(SETTINGS, seed=seed)
        folder = tmp_path / str(number)
        fine_tune(tiny_lm(), examples, settings, name="t", checkpoints=folder, fingerprint="f")
    assert orders[0].shape == (11, 8)
    assert orders[0].tolist() == orders[1].tolist()
    assert orders[0].tolist() != orders[2].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_kill_9_at_any_step_then_the_weights_of_a_run_without_a_kill(kind, tmp_path):
    def start(step):
        command = [sys.executable, fine_tuning_run.__file__, str(tmp_path), str(step), kind]
        return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode

    for step in (2, 5, 10):  # before the first checkpoint, after one, after three
        assert start(step) == -signal.SIGKILL
    assert names_of(tmp_path / "checkpoints") == ["step00000006", "step00000009"]
    assert start(0) == 0
    whole = run(tmp_path / "other", LORA if kind == "lora" else SETTINGS)
    assert_equal_weights(load_file(tmp_path / "tuned.safetensors"), whole)


def test_a_run_that_finished_is_taken_up_at_its_end(tmp_path, said):
    whole = run(tmp_path, SETTINGS)
    asked = []
    again = run(tmp_path, SETTINGS, asked.append)
    assert asked == []
    assert said == ["tiny: resumed after step 11 of 11"]
    assert_equal_weights(whole, again)


@pytest.mark.parametrize(
    "damage", ["model.safetensors", "optimizer.safetensors", "state.json", "memory.safetensors", "manifest.json"]
)
def test_a_damaged_or_incomplete_checkpoint_falls_back_to_the_one_before(damage, tmp_path, said):
    whole = run(tmp_path / "whole", SETTINGS)
    with pytest.raises(Killed):
        run(tmp_path / "c", SETTINGS, kill_at(8))
    file = tmp_path / "c" / "step00000006" / damage
    content = file.read_bytes()
    file.unlink() if damage == "optimizer.safetensors" else file.write_bytes(content[: len(content) // 2])
    assert_equal_weights(whole, run(tmp_path / "c", SETTINGS))
    assert "step00000006: damaged" in said[0]
    assert said[1] == "tiny: resumed after step 3 of 11"


def test_checkpoints_of_another_fingerprint_are_never_used_and_it_is_said(tmp_path, said):
    with pytest.raises(Killed):
        run(tmp_path / "c", SETTINGS, kill_at(8))
    seen = []
    model = run(tmp_path / "c", replace(SETTINGS, learning_rate=1e-3), seen.append, fingerprint="other")
    assert seen[0] == 1
    assert "made with other settings, data, base, versions or code; training starts fresh" in said[0]
    assert_equal_weights(model, run(tmp_path / "d", replace(SETTINGS, learning_rate=1e-3)))


def test_a_short_training_writes_no_checkpoint(tmp_path):
    run(tmp_path, replace(SETTINGS, checkpoint_steps=11))
    assert names_of(tmp_path) == []


def test_a_checkpoint_of_adapters_holds_adapters_alone_and_what_comes_out_is_plain(tmp_path):
    model = run(tmp_path, LORA)
    saved = load_file(tmp_path / "step00000011" / "model.safetensors")
    assert saved
    assert all(".lora_" in name for name in saved)
    first = tiny_lm()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, first.state_dict()[name])}
    assert model.state_dict().keys() == first.state_dict().keys()
    assert changed
    assert all("query_key_value.weight" in name for name in changed)


def test_merged_adapters_are_the_function_that_was_trained(tmp_path, monkeypatch):
    examples, adapted = random_examples(8), []

    def measure(model):
        adapted.append(causal.negative_log_likelihood(model, examples, 1000)[0])
        merge(model)

    merge = fine_tuning._merge
    monkeypatch.setattr(fine_tuning, "_merge", measure)
    merged, _ = causal.negative_log_likelihood(run(tmp_path, LORA), examples, 1000)
    np.testing.assert_allclose(merged, adapted[0], rtol=1e-5)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_the_run_at_its_step(what, tmp_path, monkeypatch):
    plain, calls = training.token_losses, []

    def broken(model, batch):
        losses, rows = plain(model, batch)
        calls.append(1)
        if len(calls) < 4:
            return losses, rows
        if what == "loss":
            return losses * float("nan"), rows
        losses.register_hook(lambda gradient: gradient * float("inf"))
        return losses, rows

    monkeypatch.setattr(training, "token_losses", broken)
    seen = []
    with pytest.raises(FloatingPointError, match=f"{what}.* is (nan|inf)") as error:
        run(tmp_path, replace(SETTINGS, token_budget=10_000), seen.append)
    assert seen == [1, 2, 3]
    assert error.value.__notes__ == ["in step 4 of 11 of tiny"]
    assert names_of(tmp_path) == ["step00000003"]


def test_bf16_trains_fp32_weights_near_those_of_fp32(tmp_path):
    logs = [
        fine_tune(
            tiny_lm(dropout=0.0), random_examples(), replace(SETTINGS, precision=name), name="t",
            checkpoints=tmp_path / name, fingerprint="f",
        )["loss"]
        for name in ("fp32", "bf16")
    ]  # fmt: skip
    assert not logs[0].equals(logs[1])
    np.testing.assert_allclose(*logs, rtol=0.02)


@pytest.mark.slow
def test_fine_tuning_is_quiet(tmp_path):
    code = "import sys, fine_tuning_run as f; from pathlib import Path; f.run(Path(sys.argv[1]), f.SETTINGS)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(fine_tuning_run.__file__).parent, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
