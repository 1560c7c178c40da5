import json
import shutil
from functools import partial

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    OPTConfig,
    Qwen2Config,
)

from more_repro import tables
from more_repro.lm import base_files, bases, causal, device, encoding, training
from more_repro.lm.sequence_classifier import ensure_padding
from more_repro.params import Base


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
    hub = Base(model=str(base_dir))
    log = bases.make_base("nano", hub, corpus, tmp_path / "hub", seed=1, max_length=32)
    assert log.empty
    assert {file.name for file in (tmp_path / "hub").iterdir()} == {"base.json"}
    assert same(weights(bases.load_causal_lm(tmp_path / "hub")), weights(bases.load_causal_lm(base_dir)))
    assert bases.load_tokenizer(tmp_path / "hub").get_vocab() == bases.load_tokenizer(base_dir).get_vocab()
    bases.load_sequence_classifier(tmp_path / "hub", seed=0)


GPT2_SIZES = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 64,
}  # fmt: skip
OPT_SIZES = {**SIZES, "ffn_dim": 32, "word_embed_proj_dim": 16}


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(**GPT2_SIZES),  # output and input embeddings are one
        GPTNeoXConfig(**SIZES, tie_word_embeddings=True),
        LlamaConfig(**SIZES, tie_word_embeddings=False, num_key_value_heads=1),
        Qwen2Config(**SIZES, tie_word_embeddings=True, num_key_value_heads=1),
        MixtralConfig(**SIZES, num_key_value_heads=1, num_local_experts=2),
        OPTConfig(**{name: value for name, value in OPT_SIZES.items() if name != "intermediate_size"}),
    ],
    ids=lambda config: config.model_type,
)
def test_any_decoder_serves_and_its_parameters_are_counted_from_its_config(config, base_dir, tmp_path, corpus):
    """The law: what is counted without memory is what the loaded model has, shared parameters once."""
    folder = tmp_path / "model"
    tokenizer = AutoTokenizer.from_pretrained(base_dir)
    config.vocab_size = len(tokenizer)
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    bases.make_base("mine", Base(model=str(folder)), corpus, tmp_path / "base", seed=1, max_length=32)
    loaded = bases.load_causal_lm(tmp_path / "base")
    assert base_files.n_parameters(tmp_path / "base") == sum(one.numel() for one in loaded.parameters())
    assert loaded.config.model_type == config.model_type


def test_a_pretrained_base_counts_its_parameters(base_dir):
    found = base_files.n_parameters(base_dir)
    assert found == sum(one.numel() for one in bases.load_causal_lm(base_dir).parameters())
    assert found == bases.count_parameters(str(base_dir), None)


def test_counting_takes_no_memory_and_no_random_number(tmp_path):
    """Seven thousand million parameters on a machine that has room for none of them."""
    LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32).save_pretrained(tmp_path)
    before = torch.get_rng_state()
    assert bases.count_parameters(str(tmp_path), None) == 6_738_415_616
    assert torch.equal(torch.get_rng_state(), before)


def test_a_base_without_a_number_of_parameters_says_what_counts_them(tmp_path):
    (tmp_path / "base.json").write_text('{"kind": "local", "location": null, "revision": null}')
    with pytest.raises(ValueError, match=r"no number of parameters; `dvc repro --force base@"):
        base_files.n_parameters(tmp_path)


def test_a_folder_that_holds_no_model_is_named(tmp_path, corpus):
    with pytest.raises(ValueError, match=r"bases\.mine\.model: .*nothing is no folder with a model's config\.json"):
        bases.make_base("mine", Base(model=str(tmp_path / "nothing")), corpus, tmp_path / "out", seed=1, max_length=8)
    assert not (tmp_path / "out" / "base.json").exists()


def test_a_hub_id_is_never_a_folder_of_that_name(tmp_path, corpus, monkeypatch):
    (tmp_path / "someone" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"bases\.mine\.model: someone/model is a folder here: write \./someone/model"):
        bases.make_base("mine", Base(model="someone/model", revision="main"), corpus, tmp_path, seed=1, max_length=8)


def test_a_folder_may_begin_at_home(base_dir, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(base_dir.parent))
    bases.make_base("mine", Base(model=f"~/{base_dir.name}"), corpus, tmp_path, seed=1, max_length=8)
    assert base_files.origin(tmp_path) == (str(base_dir), None)


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
    hub = Base(model=str(folder))
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
