"""What MoreTrainer does with bases, tokenizers and settings that need a correction or cannot serve."""

import json
from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

from more_repro.engine import LoraSpec, MoreConfig, MoreTrainer
from more_repro.engine.base_model import longest_input
from more_repro.lm.sequence_classifier import find_padding
from more_repro.lm.tokenizers import make_tokenizer
from tiny_models import tiny_model

TRAIN = {"helpful": preference_rows(8, 0), "harmless": preference_rows(8, 1)}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


def without_padding(folder: Path):
    """As GPT-2 has it: one special token, which is end, beginning and unk."""
    make_tokenizer("bpe", ["w1 w2 w3"] * 4, 300, 64).save_pretrained(folder)
    text = (folder / "tokenizer.json").read_text()
    for name in ("<pad>", "<unk>"):
        text = text.replace(json.dumps(name), json.dumps(f"old {name}"))
    (folder / "tokenizer.json").write_text(text)
    for other in ("tokenizer_config.json", "special_tokens_map.json"):
        (folder / other).unlink(missing_ok=True)
    end = {"eos_token": "<eos>", "bos_token": "<eos>", "unk_token": "<eos>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **end}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return AutoTokenizer.from_pretrained(folder)


def test_a_tokenizer_without_padding_gets_a_token_and_the_model_an_embedding(tmp_path):
    tokenizer = without_padding(tmp_path)
    assert not find_padding(tokenizer)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2, n_positions=128, num_labels=1)
    model = GPT2ForSequenceClassification(config).eval()
    trainer = MoreTrainer(model, MoreConfig(tmp_path / "out", max_steps=1, per_source_batch_size=2), TRAIN, tokenizer)
    trainer.train()
    trainer.save_model()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    again = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again.pad_token_id == loaded.config.pad_token_id == config.vocab_size - 1
    assert again.pad_token_id not in (again.eos_token_id, again.bos_token_id, again.unk_token_id)
    assert loaded.get_input_embeddings().num_embeddings == len(again)


def test_unk_that_a_text_can_be_read_as_is_no_padding(base):
    words = AutoTokenizer.from_pretrained(base)
    assert words.unk_token_id in words("unheard", add_special_tokens=False)["input_ids"]
    words.pad_token = words.unk_token
    assert find_padding(words)
    assert words.pad_token == "<pad>"


def test_a_base_without_some_of_its_weights_is_refused(base, tmp_path):
    for file in base.iterdir():
        if file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(base / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layers.1.mlp" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 4 of the model's weights \(gpt_neox.layers.1.mlp"):
        MoreTrainer(str(tmp_path), MoreConfig(tmp_path), TRAIN, AutoTokenizer.from_pretrained(base))


def test_sequences_beyond_the_models_positions_are_refused(base, tmp_path):
    rows = {"long": [{"chosen": "w1 " * 70, "rejected": "w2"}]}
    with pytest.raises(ValueError, match=r"\['long'\]: a sequence has 71 tokens, .* set max_length to 64"):
        MoreTrainer(str(base), MoreConfig(tmp_path), rows, AutoTokenizer.from_pretrained(base))


def test_a_rotary_embedding_that_looks_at_the_batch_is_used_within_its_first_range_alone():
    model = tiny_model("llama")
    assert longest_input(model) == 64
    model.config.rope_parameters = {"rope_type": "longrope", "original_max_position_embeddings": 32}
    assert longest_input(model) == 32


def test_rewards_that_are_not_finite_stop_the_evaluation(base, tmp_path):
    trainer = MoreTrainer(str(base), MoreConfig(tmp_path), TRAIN, AutoTokenizer.from_pretrained(base), TRAIN)
    with torch.no_grad():
        trainer.model.score.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="helpful: 8 of 8 pairs have a reward that is not finite"):
        trainer.evaluate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_decay": -1.0}, "weight_decay must not be below 0, found -1.0"),
        ({"memory_limit_gib": -1.0}, "memory_limit_gib must be above 0"),
        ({"save_steps": 0.5}, "save_steps must be a whole number, found 0.5"),
        ({"max_steps": True}, "max_steps must be a whole number, found True"),
        ({"losses": {"center": float("nan")}}, "losses.center must be a finite number, found nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, found inf"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MoreConfig("out", **change)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank is a whole number from 1, found 0"),
        ({"alpha": 0.0}, "alpha must be above 0, found 0.0"),
        ({"targets": "q_proj"}, "names in a tuple, or 'all-linear', found 'q_proj'"),
        ({"targets": ()}, "targets name no layer"),
    ],
)
def test_adapters_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LoraSpec(**settings)


def test_adapters_in_every_linear_layer(base, tmp_path):
    settings = MoreConfig(tmp_path, lora=LoraSpec(2, 4.0, "all-linear"))
    trainer = MoreTrainer(str(base), settings, TRAIN, AutoTokenizer.from_pretrained(base))
    trained = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    assert sum("lora_A" in name for name in trained) == 2 * 4
    assert "score.weight" in trained


def test_each_weighting_has_its_own_normalization_unless_told():
    assert MoreConfig("out", weighting="upgrad").weighting_spec().normalization is None
    assert MoreConfig("out", normalization="loss").weighting_spec().normalization == "loss"


def test_a_model_that_is_none_is_named(base, tmp_path):
    with pytest.raises(ValueError, match="expected a name or a transformers model, found Linear"):
        MoreTrainer(torch.nn.Linear(2, 2), MoreConfig(tmp_path), TRAIN, AutoTokenizer.from_pretrained(base))
