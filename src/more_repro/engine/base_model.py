"""A base by name, or a model in hand, made ready to be trained as a reward model."""

from collections.abc import Iterator, Mapping

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.engine.model import head_weight
from more_repro.lm.sequence_classifier import HEAD, check_loaded, draw_head, find_padding, quiet_loading

_NEW_PAD = "<|pad|>"


def ready_model(
    model: str | PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lora: LoraSpec | None, seed: int
) -> PreTrainedModel:
    """The model in fp32 with a one-output head, the tokenizer's padding token, and adapters if asked for.

    model: a Hugging Face decoder by hub id or folder (safetensors; no code of its own is run), whose new head is drawn
    by `seed`, or a sequence classifier. Where the tokenizer's padding token could end a text, it is given another of
    its vocabulary; where there is none, a new one, with an embedding in the model.
    Raises ValueError where the head or the tokenizer cannot serve, or the files lack weights of the model.
    """
    name = model if isinstance(model, str) else type(model).__name__
    if not isinstance(model, str | PreTrainedModel):
        raise ValueError(f"expected a name or a transformers model, found {name}; for adapters, give the base and lora")
    found = _loaded(model, seed) if isinstance(model, str) else model
    head_weight(found)
    rows = _n_embeddings(found)
    if len(tokenizer) > rows:
        raise ValueError(f"{name} has {rows} embeddings, the tokenizer {len(tokenizer)} tokens: they must fit")
    if not find_padding(tokenizer):
        _add_padding(found, tokenizer, seed)
    found.config.pad_token_id = tokenizer.pad_token_id
    found.config.use_cache = False
    found.float()
    if lora is not None:
        add_lora(found, lora, seed)
    return found


def longest_input(model: PreTrainedModel) -> int | None:
    """Tokens up to which the model's positions are those it was made with; None where it says nothing of it.

    Beyond them learned positions end, and rotary ones of a kind that looks at the whole batch (dynamic, longrope)
    would make a reward depend on the sequences beside it.
    """
    config = model.config.get_text_config()
    limits = [getattr(config, "max_position_embeddings", None)]
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        if rope.get("rope_type") in ("dynamic", "longrope"):
            limits += [
                rope.get("original_max_position_embeddings"), getattr(config, "original_max_position_embeddings", None)
            ]  # fmt: skip
    return min((int(limit) for limit in limits if limit), default=None)


def _ropes(found: object) -> Iterator[Mapping[str, object]]:
    """Rotary settings of a configuration, or of each of its kinds of layers."""
    if not isinstance(found, Mapping):
        return
    if "rope_type" in found:
        yield found
    for value in found.values():
        yield from _ropes(value)


def _add_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
    tokenizer.add_special_tokens({"pad_token": _NEW_PAD})
    if len(tokenizer) > _n_embeddings(model):
        with quiet_loading(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the new row is drawn from the global generator; no result depends on it
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)


def _n_embeddings(model: PreTrainedModel) -> int:
    return int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]


def _loaded(name: str, seed: int) -> PreTrainedModel:
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model, said = AutoModelForSequenceClassification.from_pretrained(
            name, num_labels=1, dtype=torch.float32, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    check_loaded(said, name, new=(HEAD,))
    if HEAD in said["missing_keys"]:
        draw_head(model, seed, name)
    return model
