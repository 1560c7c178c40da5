"""Preference rows with a rule that a small model can learn, and a base of random weights that reads them."""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from more_repro.lm.tokenizers import make_tokenizer
from tiny_models import WORDS, tiny_config

GOOD, BAD = WORDS[:10], WORDS[10:20]


def write_base(out: Path, architecture: str = "gpt_neox") -> Path:
    """A causal language model with its tokenizer, as the hub holds them."""
    tokenizer = make_tokenizer("words", [" ".join(WORDS)], None, 64)
    torch.manual_seed(1)
    config = tiny_config(architecture, len(tokenizer))
    config.eos_token_id = tokenizer.eos_token_id
    AutoModelForCausalLM.from_config(config).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def preference_rows(n: int, seed: int, flip: bool = False) -> list[dict[str, str]]:
    """Plain rows with explicit prompts: the chosen answer holds good words, in another source bad ones."""
    rng = np.random.default_rng(seed)

    def text(words: list[str], low: int, high: int) -> str:
        return " " + " ".join(rng.choice(words, rng.integers(low, high)))

    rows = []
    for _ in range(n):
        prompt, good, bad = text(WORDS, 3, 20), text(GOOD, 2, 6), text(BAD, 2, 6)
        chosen, rejected = (bad, good) if flip else (good, bad)
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return rows
