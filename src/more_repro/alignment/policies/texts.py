"""Texts that policies are tuned on or measured with, as tokens; and a name for what depends on them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from transformers import PreTrainedTokenizerBase

from more_repro.lm.encoding import Example, encode_examples, response_end
from more_repro.records import prompt_from_json
from more_repro.store.digests import digest_of

_WHOLE = sys.maxsize  # tokens of a text that is not cut


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt (as prompt_json) with a response; `finished` is False where the policy never wrote eos."""

    prompt: str
    response: str
    finished: bool = True


def texts_digest(texts: Iterable[Text]) -> str:
    """24 hex digits that change with the texts and their order."""
    return digest_of([asdict(text) for text in texts])


def to_examples(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text], max_length: int = _WHOLE) -> list[Example]:
    """Texts as tokens, at most `max_length` each, cut from the left.

    A response that was cut off never ended: its end is not the policy's and is not taught.
    """
    prompts = [prompt_from_json(text.prompt) for text in texts]
    examples = encode_examples(tokenizer, prompts, [text.response for text in texts], max_length)
    n_end = len(response_end(tokenizer))
    return [
        example if text.finished else Example(example.ids[:-n_end], example.n_prompt_tokens)
        for example, text in zip(examples, texts, strict=True)
    ]
