"""Models of the benches: a shape, random weights, and a tokenizer that only knows the padding."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForSequenceClassification, GPTNeoXConfig, PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    hidden: int
    layers: int
    heads: int
    vocabulary: int

    @property
    def inner(self) -> int:
        return 4 * self.hidden


SMALL = Shape("256/4L", 256, 4, 4, 32_000)
PYTHIA_1_4B = Shape("Pythia-1.4B", 2048, 24, 16, 50_304)


def make_model(shape: Shape, seed: int) -> PreTrainedModel:
    """A GPT-NeoX reward model with random weights, the same for the same seed, without dropout."""
    torch.manual_seed(seed)
    config = GPTNeoXConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, max_position_embeddings=2048,
        attention_dropout=0.0, hidden_dropout=0.0, classifier_dropout=0.0, num_labels=1, use_cache=False,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return AutoModelForSequenceClassification.from_config(config).eval()


def pad_only_tokenizer() -> PreTrainedTokenizerFast:
    """TRL asks for a tokenizer even where the pairs are tokens already; it takes the padding from it."""
    vocabulary = {"<pad>": 0, "<eos>": 1}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
