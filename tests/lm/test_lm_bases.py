import json
import shutil
from functools import partial

import pytest
import torch

from more_repro import tables
from more_repro.lm import base_files, bases, causal, device, encoding, training
from more_repro.lm.sequence_classifier import ensure_padding


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("changes", [{}, {"architecture": "llama"}, {"tokenizer": "bpe", "vocabulary": 300}])
def test_same_seed_gives_the_same_base_to_the_last_bit(changes, base_settings, corpus, tmp_path):
    small = base_settings(steps=4, **changes)
    torch.manual_seed(1)
    log = bases.make_base("nano", small, corpus, tmp_path / "a", seed=5, max_length=32)
    torch.manual_seed(2)
    again = bases.make_base("nano", small, corpus, tmp_path / "b", seed=5, max_length=32)
    assert log.equals(again)
    assert len(log) == 4
    assert same(weights(bases.load_causal_lm(tmp_path / "a")), weights(bases.load_causal_lm(tmp_path / "b")))
    assert base_files.fingerprint(tmp_path / "a") == base_files.fingerprint(tmp_path / "b")
    other = bases.make_base("nano", small, corpus, tmp_path / "c", seed=6, max_length=32)
    assert not log.equals(other)
    assert base_files.fingerprint(tmp_path / "a") != base_files.fingerprint(tmp_path / "c")


def test_pretraining_lowers_the_loss(base_settings, corpus, tmp_path):
    log = bases.make_base("nano", base_settings(), corpus, tmp_path, seed=1, max_length=32)
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] - 0.2
    assert tables.check(log, "base_training").equals(log)


def test_base_has_the_asked_shape_and_no_dropout(base_dir):
    config = bases.load_causal_lm(base_dir).config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (16, 2, 2)
    assert config.intermediate_size == 64
    assert config.max_position_embeddings >= 32
    assert config.hidden_dropout == config.attention_dropout == 0


def test_only_safetensors_are_written(base_dir):
    names = {file.suffix for file in base_dir.iterdir()}
    assert names <= {".json", ".safetensors", ".jinja"}
    assert json.loads((base_dir / "base.json").read_text())["kind"] == "local"


def test_hub_base_loads_like_the_folder_it_names(base_settings, base_dir, corpus, tmp_path):
    hub = base_settings(location=str(base_dir), revision="main")
    log = bases.make_base("nano", hub, corpus, tmp_path / "hub", seed=1, max_length=32)
    assert log.empty
    assert {file.name for file in (tmp_path / "hub").iterdir()} == {"base.json"}
    assert same(weights(bases.load_causal_lm(tmp_path / "hub")), weights(bases.load_causal_lm(base_dir)))
    assert bases.load_tokenizer(tmp_path / "hub").get_vocab() == bases.load_tokenizer(base_dir).get_vocab()
    bases.load_sequence_classifier(tmp_path / "hub", seed=0)


def test_classifier_head_follows_its_seed_and_backbone_is_the_bases(base_dir):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = (bases.load_sequence_classifier(base_dir, seed=3) for _ in range(2))
    other = bases.load_sequence_classifier(base_dir, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.score.weight, second.score.weight)
    assert not torch.equal(first.score.weight, other.score.weight)
    assert first.score.weight.shape == (1, 16)
    assert 0.005 < first.score.weight.std() < 0.05
    assert same(weights(first.base_model), weights(bases.load_causal_lm(base_dir).base_model))
    assert first.config.pad_token_id is not None
    assert not first.config.use_cache


def test_saved_base_gives_the_trained_models_losses(base_settings, corpus, transcripts, tmp_path, monkeypatch):
    kept = {}
    original = bases.train_causal_lm

    def train(model, *args, **kwargs):
        kept["model"] = model
        return original(model, *args, **kwargs)

    monkeypatch.setattr(bases, "train_causal_lm", train)
    bases.make_base("nano", base_settings(steps=3), corpus, tmp_path, seed=1, max_length=32)
    tokenizer = bases.load_tokenizer(tmp_path)
    examples = encoding.encode_examples(tokenizer, [p for p, _ in transcripts], [r for _, r in transcripts], 32)
    trained, _ = causal.negative_log_likelihood(kept["model"], examples, 1024)
    loaded, _ = causal.negative_log_likelihood(bases.load_causal_lm(tmp_path), examples, 1024)
    assert (trained == loaded).all()


def test_a_killed_pretraining_goes_on_to_the_same_base(base_settings, corpus, tmp_path, monkeypatch):
    """It is killed after step 3, with a checkpoint after each second one; another corpus would begin anew."""
    monkeypatch.setattr(bases, "CausalTraining", partial(training.CausalTraining, checkpoint_steps=2))
    small, where = base_settings(steps=5), tmp_path / "checkpoints"
    bases.make_base("nano", small, corpus, tmp_path / "whole", 1, 32)
    add_gradient, calls = training.add_gradient, []

    def die_in_the_fourth(*given):
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return add_gradient(*given)

    monkeypatch.setattr(training, "add_gradient", die_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        bases.make_base("nano", small, corpus, tmp_path / "again", 1, 32, where)
    assert [path.name for path in where.iterdir()] == ["step00000002"]
    log = bases.make_base("nano", small, corpus, tmp_path / "again", 1, 32, where)
    assert len(calls) == 4 + 3
    assert log["step"].tolist() == list(range(5))
    assert same(weights(bases.load_causal_lm(tmp_path / "whole")), weights(bases.load_causal_lm(tmp_path / "again")))
    assert not where.exists()


def test_padding_is_never_the_end_token_of_a_hub_tokenizer(base_settings, base_dir, corpus, tmp_path):
    """Many hub tokenizers pad with eos; then a response's end could not be told from padding."""
    folder = tmp_path / "model"
    shutil.copytree(base_dir, folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "pad_token": "<eos>"}))
    hub = base_settings(location=str(folder), revision="main")
    bases.make_base("nano", hub, corpus, tmp_path / "hub", seed=1, max_length=32)
    tokenizer = bases.load_tokenizer(tmp_path / "hub")
    assert tokenizer.pad_token == "<pad>"
    assert tokenizer.pad_token_id == bases.load_tokenizer(base_dir).pad_token_id
    assert bases.load_sequence_classifier(tmp_path / "hub", 0).config.pad_token_id == tokenizer.pad_token_id
    with pytest.raises(ValueError, match="no token can serve as padding"):
        ensure_padding(Vocabulary(), "hub/model")


class Vocabulary:
    eos_token, bos_token, unk_token = "</s>", "<s>", None
    eos_token_id, bos_token_id, pad_token_id = 2, 1, None

    def get_vocab(self):
        return {"</s>": 2, "<s>": 1, "word": 3}


def test_a_missing_base_says_what_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        bases.load_causal_lm(tmp_path / "none")


def test_precision_names_and_device():
    assert device.dtype_of("bf16") is torch.bfloat16
    with pytest.raises(ValueError, match="fp64"):
        device.dtype_of("fp64")
    assert device.pick_device().type in ("cpu", "cuda")


def test_pinned_threads_are_given_back_even_after_an_error():
    before = torch.get_num_threads()

    def fail():
        with device.pinned_threads(1):
            raise RuntimeError(str(torch.get_num_threads()))

    with pytest.raises(RuntimeError, match="1"):
        fail()
    assert torch.get_num_threads() == before
