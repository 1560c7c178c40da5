import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from more_repro.engine import LoraSpec, MoreConfig, MoreTrainer, fingerprint, more
from more_repro.engine.batching.preference_rows import encode_rows
from more_repro.engine.batching.token_pairs import encode_sequences
from more_repro.engine.model import score

TRAIN = {
    "helpful": preference_rows(24, 0),
    "harmless": preference_rows(12, 1),
    "contrary": preference_rows(16, 2, flip=True),
}


class Killed(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


def make(base: Path, out: Path, rows=TRAIN, **changes) -> MoreTrainer:
    settings = {
        "learning_rate": 1e-2,
        "per_source_batch_size": 4,
        "save_steps": 2,
        "logging_steps": 4,
        "max_length": 64,
    }
    config = MoreConfig(out, **{**settings, **changes})
    return MoreTrainer(
        str(base), config, rows, AutoTokenizer.from_pretrained(base), {"helpful": preference_rows(20, 9)}
    )


def test_trainer_learns_and_saves_a_standard_checkpoint(base, tmp_path):
    trainer = make(base, tmp_path, rows={"helpful": TRAIN["helpful"]}, num_train_epochs=4)
    before = trainer.evaluate()
    assert trainer.train().global_step == 24
    after = trainer.evaluate()
    assert after["eval_helpful_accuracy"] > 0.9
    assert after["eval_helpful_loss"] < 0.5 * before["eval_helpful_loss"]
    assert after["eval_helpful_n"] == 20
    trainer.save_model()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert (loaded.config.num_labels, loaded.config.pad_token_id) == (1, tokenizer.pad_token_id)
    row = TRAIN["helpful"][0]
    ids = tokenizer(row["prompt"] + row["chosen"] + tokenizer.eos_token, return_tensors="pt")["input_ids"]
    pairs = encode_rows([row], trainer.processing_class, 64, "rows").pairs
    with torch.no_grad():
        theirs = loaded(input_ids=ids).logits[0]
    assert torch.allclose(score(trainer.model, pairs.sequences)[pairs.chosen], theirs, atol=1e-5)


def test_log_has_a_row_for_each_logging_interval_and_source(base, tmp_path):
    trainer = make(base, tmp_path, max_steps=10, logging_steps=4)
    state = trainer.train()
    assert [row["step"] for row in state.log_history] == [4, 8, 10]
    for row in state.log_history:
        assert sum(row[f"lambda/{name}"] for name in TRAIN) == pytest.approx(1)
        assert {f"{kind}/{name}" for kind in ("loss", "margin", "head_gradient_norm") for name in TRAIN} <= row.keys()
    log = trainer._loop.log
    assert row["loss"] == pytest.approx(float((log["lambda"] * log["loss"])[8:].sum(dim=1).mean()))


def test_an_epoch_passes_the_largest_source_once_and_begins_smaller_ones_anew(base, tmp_path):
    pairs = make(base, tmp_path)._loop.pairs
    assert pairs.chosen.shape == (6, 3, 4)
    counts = [torch.unique(pairs.chosen[:, source], return_counts=True)[1].tolist() for source in range(3)]
    assert counts[0] == [1] * 24
    assert counts[1] == [2] * 12
    assert sorted(counts[2]) == [1] * 8 + [2] * 8


KINDS = {
    "more": {"alpha": 0.3},
    "random": {"weighting": "random"},
    "pcgrad": {"weighting": "pcgrad"},
    "one pair at a time": {"lambda_scope": "micro_batch"},
    "adapters": {"lora": LoraSpec(2, 4.0)},
}
SLOW = ("random", "pcgrad", "one pair at a time")


@pytest.mark.parametrize("kind", ["more", "adapters", *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)])
def test_stopped_and_resumed_equals_uninterrupted_to_the_last_bit(base, tmp_path, kind):
    whole = make(base, tmp_path / "whole", **KINDS[kind])
    whole.train()

    def stop(done):
        if done == 3:
            raise Killed

    stopped = make(base, tmp_path / "stopped", **KINDS[kind])
    with pytest.raises(Killed):
        stopped._loop.run(stop)
    again = make(base, tmp_path / "stopped", **KINDS[kind])
    history = again.train(resume_from_checkpoint=True).log_history
    assert history == whole.state.log_history
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_a_finished_run_is_not_trained_again(base, tmp_path, capsys):
    first = make(base, tmp_path).train()
    again = make(base, tmp_path)
    assert again.train(resume_from_checkpoint=True) == first
    assert "resumed after step 6 of 6" in capsys.readouterr().err


def test_an_earlier_run_is_never_overwritten_unasked(base, tmp_path):
    make(base, tmp_path, max_steps=2).train()
    with pytest.raises(FileExistsError, match="resume_from_checkpoint=True"):
        make(base, tmp_path, max_steps=2).train()


@pytest.mark.parametrize("change", [{"learning_rate": 2e-2}, {"alpha": 0.5}, {"max_length": 20}, {"seed": 1}])
def test_a_changed_run_starts_fresh_and_says_so(base, tmp_path, capsys, change):
    make(base, tmp_path, max_steps=2).train()
    changed = make(base, tmp_path, **{"max_steps": 2, **change})
    assert changed._loop.resume() == 0
    assert "training starts fresh" in capsys.readouterr().err


def test_checkpoints_of_a_changed_run_are_kept_aside(base, tmp_path):
    first = make(base, tmp_path, max_steps=2)
    first.train()
    make(base, tmp_path, max_steps=2, learning_rate=2e-2).train(resume_from_checkpoint=True)
    aside = tmp_path / f"checkpoints.{first._loop.fingerprint[:8]}.old"
    kept = load_file(aside / "step00000002" / "model.safetensors")
    assert torch.equal(kept["score.weight"], first.model.score.weight)


def test_a_memory_limit_lowers_the_token_budget_and_says_where_it_cannot(base, tmp_path, capsys):
    plain = make(base, tmp_path / "plain", max_steps=2)
    plain.train()
    tight = make(base, tmp_path / "tight", max_steps=2, memory_limit_gib=1e-9)
    tight.train()
    assert capsys.readouterr().err.count("alone needs more than") == 1
    assert torch.allclose(tight._loop.log["loss"], plain._loop.log["loss"], atol=1e-5)


@pytest.mark.parametrize("what", ["threads", "transformers"])
def test_what_rounds_otherwise_changes_the_fingerprint(base, tmp_path, monkeypatch, what):
    before = make(base, tmp_path)._loop.fingerprint
    if what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    else:
        monkeypatch.setattr(fingerprint, "version", lambda package: "0.0")
    assert make(base, tmp_path)._loop.fingerprint != before


def test_adapters_are_merged_in_what_is_saved(base, tmp_path):
    trainer = make(base, tmp_path, lora=LoraSpec(2, 4.0), max_steps=4)
    trainer.train()
    trainer.save_model()
    sequences, _, _ = encode_sequences([(), ()], ["w1 w2 w3", "w30 w31"], trainer.processing_class, 64)
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(score(saved, sequences), score(trainer.model, sequences), atol=1e-5)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if "lora" in name]
    newest = max((tmp_path / "checkpoints").iterdir())
    assert all("lora_" in name or name == "score.weight" for name in load_file(newest / "model.safetensors"))


def test_more_without_memory_equals_the_trainers_first_lambda(base, tmp_path):
    gradients = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    weights = more(gradients)
    assert float(weights.sum()) == pytest.approx(1)
    rows = torch.nn.functional.normalize(gradients.double(), dim=1)
    slopes = rows @ (weights.double() @ rows)
    assert torch.allclose(slopes[weights > 1e-6], slopes.min(), atol=1e-6)  # the KKT conditions
    with pytest.raises(ValueError, match="needs the losses"):
        more(gradients, "loss")
    with pytest.raises(ValueError, match=r"\(K, H\)"):
        more(gradients[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0, found 0.0"),
        ({"warmup_ratio": 2.0}, r"warmup_ratio lies in \[0, 1\], found 2.0"),
        ({"losses": {"label_smoothing": 0.7}}, r"losses.label_smoothing lies in \[0, 0.5\), found 0.7"),
        ({"lambda_scope": "pair"}, "batch or micro_batch, found 'pair'"),
        ({"weighting": "mroe"}, "unknown weighting 'mroe'; the nearest known one is 'more'; known: .*uniform"),
        ({"weighting": "fixed"}, "needs a weight for each of 3 sources"),
        ({"lora": LoraSpec(2, 4.0, ("nothing",))}, "LoRA finds no place in a gpt_neox with targets"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(base, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make(base, tmp_path, **change)


def test_a_model_that_cannot_serve_is_named(base, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(base)
    config = MoreConfig(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    with pytest.raises(ValueError, match="one output and no bias"):
        MoreTrainer(model, config, TRAIN, tokenizer)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.resize_token_embeddings(10)
    with pytest.raises(ValueError, match="has 10 embeddings, the tokenizer 4"):
        MoreTrainer(model, config, TRAIN, tokenizer)
    with pytest.raises(ValueError, match="train_dataset maps names of sources to rows, found list"):
        MoreTrainer(str(base), config, TRAIN["helpful"], tokenizer)
    with pytest.raises(ValueError, match="give eval_dataset"):
        MoreTrainer(str(base), config, TRAIN, tokenizer).evaluate()


def test_what_changes_no_number_keeps_the_fingerprint(base, tmp_path):
    keys = {make(base, tmp_path / str(n), save_steps=n, logging_steps=n)._loop.fingerprint for n in (1, 2)}
    assert len(keys) == 1
    assert dataclasses.asdict(make(base, tmp_path).args)["save_steps"] == 2


@pytest.mark.slow
def test_the_engine_imports_nothing_of_the_study():
    heavy = ("pandas", "pyarrow", "pydantic", "datasets", "peft", "dvc", "papermill", "statsmodels", "matplotlib")
    code = f"import sys, more_repro.engine.trainer as t; print([m for m in {heavy!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
