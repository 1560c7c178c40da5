"""MoreTrainer where something is wrong: numbers that are not finite, damaged checkpoints, and changed inputs."""

from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from safetensors.torch import load_file, save_file
from token_pairs import flat_gradient, naive_step, relative
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from more_repro.engine import MoreConfig, MoreTrainer, fingerprint, objective
from more_repro.engine.batching.preference_rows import encode_rows
from more_repro.engine.head_gradients import NonFiniteLossError, StepRule
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.more import More
from tiny_models import tiny_model

TRAIN = {name: preference_rows(12, seed) for seed, name in enumerate(("helpful", "harmless", "honest"))}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


def make(base: Path, out: Path, rows=TRAIN, **changes) -> MoreTrainer:
    settings = {"learning_rate": 1e-2, "per_source_batch_size": 3, "save_steps": 1, "max_steps": 4, "max_length": 64}
    return MoreTrainer(str(base), MoreConfig(out, **{**settings, **changes}), rows, AutoTokenizer.from_pretrained(base))


def weights_of(trainer: MoreTrainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def newest_weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(max((out / "checkpoints").iterdir()) / "model.safetensors")


def assert_stopped_at_step_3(trainer: MoreTrainer, out: Path, error: type[Exception], message: str) -> None:
    """The weights are those of step 2, in memory and in the checkpoint, and a run without the fault goes on there."""
    with pytest.raises(error, match=message) as caught:
        trainer.train()
    assert any("in step 3 of 4" in note for note in caught.value.__notes__)
    assert trainer.state.global_step == 2
    kept, held = newest_weights(out), weights_of(trainer)
    assert all(torch.equal(held[name], tensor) for name, tensor in kept.items())


def test_a_loss_that_is_not_finite_stops_at_its_step_and_leaves_the_weights(base, tmp_path, monkeypatch):
    calls = []

    def poisoned(margins):
        calls.append(None)
        losses = -torch.nn.functional.logsigmoid(margins)
        return losses * torch.tensor([1.0, float("nan"), 1.0])[:, None] if len(calls) == 3 else losses

    monkeypatch.setattr(objective, "pair_losses", poisoned)
    trainer = make(base, tmp_path / "out")
    assert_stopped_at_step_3(trainer, tmp_path / "out", NonFiniteLossError, r"source number \[1\]")
    monkeypatch.undo()
    again, whole = make(base, tmp_path / "out"), make(base, tmp_path / "whole")
    assert again.train(resume_from_checkpoint=True) == whole.train()
    assert all(torch.equal(tensor, weights_of(whole)[name]) for name, tensor in weights_of(again).items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_stops_at_its_step_and_leaves_the_weights(base, tmp_path, value):
    """The loss is finite here: only the backward pass breaks."""
    trainer, calls = make(base, tmp_path), []

    def poisoned(gradient):
        calls.append(None)
        return torch.full_like(gradient, value) if len(calls) == 3 else gradient

    trainer.model.get_input_embeddings().weight.register_hook(poisoned)
    assert_stopped_at_step_3(trainer, tmp_path, FloatingPointError, "gradient norm is (nan|inf)")


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_to_nothing(base, tmp_path, capsys):
    whole = make(base, tmp_path / "whole")
    whole.train()
    for damaged in (1, 2):
        out = tmp_path / str(damaged)
        make(base, out).train()
        for folder in sorted((out / "checkpoints").iterdir())[-damaged:]:
            file = folder / "optimizer.safetensors"
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(bytes(data))
        again = make(base, out)
        assert again._loop.resume() == {1: 3, 2: 0}[damaged]
        assert capsys.readouterr().err.count("falling back") == damaged
        again._loop.run()
        assert all(torch.equal(tensor, weights_of(whole)[name]) for name, tensor in weights_of(again).items())


def other_base(base: Path, folder: Path) -> Path:
    """The same base with one bit of its weights turned."""
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "layers.0.mlp" in name)
    weights[name].view(torch.int32).flatten()[0] ^= 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("change", ["a word", "the order of rows", "a weight", "code"])
def test_other_data_weights_or_code_start_fresh_and_say_so(base, tmp_path, capsys, monkeypatch, change):
    make(base, tmp_path / "out").train()
    rows, model = dict(TRAIN), base
    if change == "a word":
        rows["honest"] = [{**TRAIN["honest"][0], "chosen": " w3 w4"}, *TRAIN["honest"][1:]]
    if change == "the order of rows":
        rows["honest"] = TRAIN["honest"][::-1]
    if change == "a weight":
        model = other_base(base, tmp_path / "other")
    if change == "code":
        monkeypatch.setattr(fingerprint, "code_key", lambda *modules, without: "other code")
    changed = make(model, tmp_path / "out", rows)
    assert changed._loop.resume() == 0
    assert "training starts fresh" in capsys.readouterr().err


def test_the_same_inputs_go_on(base, tmp_path):
    make(base, tmp_path).train()
    assert make(base, tmp_path)._loop.resume() == 4


@pytest.mark.parametrize("scope", ["batch", "micro_batch"])
@pytest.mark.parametrize("memory_limit_gib", [None, 1e-9])
def test_bf16_trains_near_fp32_and_keeps_weights_and_lambda_in_full(base, tmp_path, scope, memory_limit_gib):
    settings = {"lambda_scope": scope, "memory_limit_gib": memory_limit_gib, "learning_rate": 1e-3}
    logs = []
    for bf16 in (False, True):
        trainer = make(base, tmp_path / str(bf16), bf16=bf16, **settings)
        trainer.train()
        assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
        logs.append(trainer._loop.log)
    assert torch.allclose(logs[0]["loss"], logs[1]["loss"], atol=0.02)
    assert not torch.equal(logs[0]["loss"], logs[1]["loss"])
    assert torch.allclose(logs[1]["lambda"].sum(dim=1), torch.ones(4, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
@pytest.mark.parametrize("max_length", [6, 12, 18])
def test_pairs_cut_from_the_left_have_the_gradient_of_a_naive_step(base, architecture, max_length):
    """From texts: the sides lose different numbers of tokens, and with them what they had in common."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    pairs = encode_rows(preference_rows(40, 5), tokenizer, max_length, "rows").pairs
    usable = (pairs.truncated & ~pairs.equal).nonzero()[:12, 0]
    assert len(usable) >= 6
    rows = torch.stack([pairs.chosen[usable], pairs.rejected[usable]])[:, : len(usable) // 3 * 3].reshape(2, 3, -1)
    model = tiny_model(architecture)
    expected, lambdas, _ = naive_step(model, pairs.sequences, rows, More(0.99, "l2"))
    model.zero_grad()
    outcome = step_gradients(model, pairs.sequences, rows, StepRule(More(0.99, "l2")))
    assert relative(flat_gradient(model), expected) <= 1e-5
    assert torch.allclose(outcome.lambdas, lambdas, atol=1e-5)


def test_pad_in_a_text_is_words_and_no_sequence_holds_the_pad_token(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [{"prompt": "w1 <pad>", "chosen": " w2 <pad>", "rejected": " <pad> w3"}] * 3
    found = encode_rows(rows, tokenizer, 64, "rows")
    assert tokenizer.pad_token_id not in found.pairs.sequences.flat.tolist()
    assert found.n_markup == 3


def test_one_saved_model_scores_the_same_when_it_is_trained_on(base, tmp_path):
    """A saved reward model is a base of the next training, head included."""
    first = make(base, tmp_path / "first")
    first.train()
    first.save_model()
    second = make(tmp_path / "first", tmp_path / "second")
    assert torch.equal(second.model.score.weight, first.model.score.weight)
    standard = AutoModelForSequenceClassification.from_pretrained(tmp_path / "first")
    assert torch.equal(standard.score.weight, first.model.score.weight)
