"""A base by name, or a model in hand, made ready to be trained as a reward model."""

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.engine.model import head_weight
from more_repro.lm.sequence_classifier import draw_head, ensure_padding, quiet_loading


def ready_model(
    model: str | PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lora: LoraSpec | None, seed: int
) -> PreTrainedModel:
    """The model in fp32 with a one-output head, the tokenizer's padding token, and adapters if asked for.

    model: a Hugging Face decoder by hub id or folder (safetensors; no code of its own is run), whose new head is drawn
    by `seed`, or a sequence classifier. The tokenizer is given a padding token where its own could end a text.
    Raises ValueError where the head or the tokenizer cannot serve.
    """
    name = model if isinstance(model, str) else type(model).__name__
    ensure_padding(tokenizer, f"the tokenizer of {name}")
    found = _loaded(model, seed) if isinstance(model, str) else model
    head_weight(found)
    rows = int(found.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]
    if len(tokenizer) > rows:
        raise ValueError(f"{name} has {rows} embeddings, the tokenizer {len(tokenizer)} tokens: they must fit")
    found.config.pad_token_id = tokenizer.pad_token_id
    found.config.use_cache = False
    found.float()
    if lora is not None:
        add_lora(found, lora, seed)
    return found


def _loaded(name: str, seed: int) -> PreTrainedModel:
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model, said = AutoModelForSequenceClassification.from_pretrained(
            name, num_labels=1, dtype=torch.float32, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    if "score.weight" in said["missing_keys"]:
        draw_head(model, seed, name)
    return model
