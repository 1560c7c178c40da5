"""Decoders whose configs call their sizes otherwise: one padded row for each sequence, and the same gradient."""

import pytest
import torch
from preference_files import preference_rows, write_base
from token_pairs import ROWS, K, every_kind, flat_gradient, naive_step, relative
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTBigCodeConfig,
    GPTJConfig,
    GPTNeoConfig,
    MixtralConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from more_repro.engine import MoreConfig, MoreTrainer
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.uniform import Uniform

GPT2_SIZES = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128}
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 32, "max_position_embeddings": 128,
}  # fmt: skip
CONFIGS: dict[type[PretrainedConfig], dict] = {
    GPT2Config: GPT2_SIZES,
    GPTBigCodeConfig: GPT2_SIZES,
    GPTJConfig: {**GPT2_SIZES, "rotary_dim": 4},
    GPTNeoConfig: {
        "hidden_size": 16, "num_layers": 2, "num_heads": 2, "max_position_embeddings": 128,
        "attention_types": [[["global", "local"], 1]], "window_size": 8,
    },
    OPTConfig: {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 32, "word_embed_proj_dim": 16,
        "max_position_embeddings": 128,
    },
    BloomConfig: {"hidden_size": 16, "n_layer": 2, "n_head": 2},
    Qwen3Config: {**SIZES, "head_dim": 8},
    Gemma2Config: {**SIZES, "head_dim": 8, "sliding_window": 8},  # scaled embeddings, capped scores, every other layer
    MixtralConfig: {**SIZES, "num_local_experts": 2},
    FalconConfig: {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
}  # fmt: skip
every_decoder = pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.model_type)


def tiny(kind: type[PretrainedConfig], vocabulary: int = 50) -> PreTrainedModel:
    torch.manual_seed(3)
    config = kind(vocab_size=vocabulary, pad_token_id=0, bos_token_id=1, eos_token_id=1, num_labels=1, **CONFIGS[kind])
    return AutoModelForSequenceClassification.from_config(config).eval()


@every_decoder
def test_gradients_equal_a_naive_padded_step(kind):
    model, sequences = tiny(kind), every_kind()
    expected, _, _ = naive_step(model, sequences, ROWS, Uniform(K))
    for mode in ("graph", "replay"):
        model.zero_grad()
        step_gradients(model, sequences, ROWS, StepRule(Uniform(K)), token_budget=100, mode=mode)
        assert relative(flat_gradient(model), expected) <= 1e-5


@every_decoder
def test_the_trainer_takes_them(kind, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(write_base(tmp_path / "base"))
    rows = {"a": preference_rows(4, 0), "b": preference_rows(4, 1)}
    config = MoreConfig(tmp_path / "out", per_source_batch_size=2, max_length=64)
    trainer = MoreTrainer(tiny(kind, len(tokenizer)), config, rows, tokenizer)
    assert trainer.train().global_step == 2
    assert torch.isfinite(trainer._loop.log["loss"]).all()
