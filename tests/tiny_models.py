"""Small models and pairs that tests of several rooms share."""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedModel,
)

from more_repro.engine.batching.token_pairs import TokenSequences, starts_of
from more_repro.lm import base_files
from more_repro.lm.tokenizers import make_tokenizer
from more_repro.records import Message, PreferencePair
from more_repro.rendering import render_text

WORDS = [f"w{number}" for number in range(40)]


def tiny_config(architecture: str, vocabulary: int, hidden: int = 16, layers: int = 2):
    kind = {"gpt_neox": GPTNeoXConfig, "llama": LlamaConfig}[architecture]
    return kind(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=4 * hidden, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=None,
        use_cache=False, num_labels=1, initializer_range=0.1,
    )  # fmt: skip


def tiny_model(architecture: str, vocabulary: int = 50, hidden: int = 16, layers: int = 2) -> PreTrainedModel:
    torch.manual_seed(3)
    config = tiny_config(architecture, vocabulary, hidden, layers)
    return AutoModelForSequenceClassification.from_config(config).eval()


def random_sequences(n: int, seed: int = 0, longest: int = 20, vocabulary: int = 50) -> TokenSequences:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, longest + 1, (n,), generator=generator)
    flat = torch.randint(2, vocabulary, (int(lengths.sum()),), generator=generator, dtype=torch.int32)
    return TokenSequences(flat, starts_of(lengths), lengths)


def random_pairs(source: str, n: int, rng: np.random.Generator) -> list[PreferencePair]:
    def text(low: int, high: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(low, high)))

    found: dict[str, PreferencePair] = {}
    while len(found) < n:
        pair = PreferencePair(source, (Message("user", text(4, 9)),), text(3, 12), text(3, 12))
        if pair.chosen != pair.rejected:
            found[pair.pair_id] = pair
    return list(found.values())


def write_base(out: Path) -> None:
    corpus = [render_text((Message("user", " ".join(WORDS)),), " ".join(WORDS))]
    tokenizer = make_tokenizer("words", corpus, None, 64)
    torch.manual_seed(1)
    config = tiny_config("gpt_neox", len(tokenizer), layers=1)
    config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    AutoModelForCausalLM.from_config(config).save_pretrained(out)
    tokenizer.save_pretrained(out)
    base_files.write_pointer(out, "local", None, None, n_parameters=1000)
