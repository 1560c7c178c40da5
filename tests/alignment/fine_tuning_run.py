"""One small fine-tuning, also as a program that kills itself: `python fine_tuning_run.py FOLDER STEP LORA`."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GPTNeoXConfig, PreTrainedModel

from more_repro.alignment.policies.fine_tuning import FineTuning, fine_tune
from more_repro.engine.lora import LoraSpec
from more_repro.lm.encoding import Example

# 11 steps; a checkpoint after every third, the last after step 11. Dropout, so that random numbers must come back too.
SETTINGS = FineTuning(
    batch_size=8, epochs=1, learning_rate=1e-2, warmup_ratio=0.1, lora=None, checkpoint_steps=3, token_budget=100,
    precision="fp32", seed=0,
)  # fmt: skip
LORA = replace(SETTINGS, lora=LoraSpec(4, 8.0))


def tiny_lm(dropout: float = 0.1) -> PreTrainedModel:
    torch.manual_seed(3)
    config = GPTNeoXConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.1, hidden_dropout=dropout, attention_dropout=0.0,
        pad_token_id=0, eos_token_id=1, bos_token_id=None, use_cache=False,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


def random_examples(n: int = 88) -> list[Example]:
    rng = np.random.default_rng(0)
    return [Example(rng.integers(2, 50, int(rng.integers(6, 20))).tolist(), int(rng.integers(1, 6))) for _ in range(n)]


def run(folder: Path, settings: FineTuning, after_step=None, fingerprint: str = "f") -> PreTrainedModel:
    model = tiny_lm()
    fine_tune(
        model, random_examples(), settings, name="tiny", checkpoints=folder, fingerprint=fingerprint,
        after_step=after_step,
    )  # fmt: skip
    return model


if __name__ == "__main__":
    where, last, lora = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "lora"

    def die(step: int) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    tuned = run(where / "checkpoints", LORA if lora else SETTINGS, die)
    save_file({name: value.contiguous() for name, value in tuned.state_dict().items()}, where / "tuned.safetensors")
