"""What a sequence classifier needs to be a reward model: a padding token of its own, and a head drawn by a seed."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

# Tokens that vocabularies keep for padding, for tokenizers that name none.
_PAD_NAMES = (
    "<|padding|>", "<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|fim_pad|>", "<|vision_pad|>",
    "<|reserved_special_token_0|>",
)  # fmt: skip
HEAD = "score.weight"  # the head of a sequence classifier, which a language model's files do not hold
_HOW = "add one and its embedding (tokenizer.add_special_tokens, model.resize_token_embeddings) and save both"
# Private characters that no vocabulary holds: what cannot spell them in bytes reads them as unk.
_UNHEARD = "\ue000\U000ffffd"


def ensure_padding(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Give the tokenizer a padding token that ends no text: readers find the last real token by it.

    source: the tokenizer's name, for the message. Raises ValueError where the vocabulary has none.
    """
    if not find_padding(tokenizer):
        tried = f"{', '.join(_PAD_NAMES)}, and unk where no text is read as unk"
        raise ValueError(f"{source}: no token can serve as padding; tried {tried}; {_HOW}")


def find_padding(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Give the tokenizer a padding token of its vocabulary that ends no text, unless its own is one; False where
    there is none."""
    taken = {tokenizer.eos_token, tokenizer.bos_token, None}
    known = tokenizer.get_vocab()
    if tokenizer.unk_token is not None and _reads_as_unk(tokenizer):
        taken.add(tokenizer.unk_token)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token not in taken:
        return True
    # unk last: only with byte fallback (LLaMA 2) no text is ever read as unk.
    for name in (*_PAD_NAMES, tokenizer.unk_token):
        if name in known and name not in taken:
            tokenizer.pad_token = name
            return True
    return False


def _reads_as_unk(tokenizer: PreTrainedTokenizerBase) -> bool:
    found = tokenizer(_UNHEARD, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return tokenizer.unk_token_id in found


def check_loaded(report: Mapping[str, Any], source: str, new: Collection[str] = ()) -> None:
    """Raises ValueError where a loading report names weights that the files lack, besides those that are `new`:
    transformers fills them with random numbers."""
    missing = sorted(set(report["missing_keys"]) - set(new))
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(f"{source}: its files lack {len(missing)} of the model's weights ({shown})")


def draw_head(model: PreTrainedModel, seed: int, source: str) -> None:
    """Put a new head (1, H) into the model, drawn from a generator of this seed alone.

    Its law is the base's own: normal with standard deviation `initializer_range`. source: the base's name, for the
    message. Raises ValueError when the architecture's head is not a bias-free linear layer named `score`.
    """
    head: Any = getattr(model, "score", None)
    if type(head) is not torch.nn.Linear or getattr(head, "bias", None) is not None:
        raise ValueError(f"{source}: {type(model).__name__} has no bias-free linear head named 'score'")
    draw = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(seed))
    spread = getattr(model.config.get_text_config(), "initializer_range", 0.02)
    with torch.no_grad():
        head.weight.copy_(draw * spread)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Silence transformers' report of weights that a new head cannot have and a language-model head that goes."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
