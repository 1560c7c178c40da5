"""Transcripts as tokens: one encoder, shared by training, scoring, generation and perplexity.

A tokenizer with a chat template is rendered by it, any other in the plain form; `lm.bases.load_tokenizer` takes the
template away where a base asks for the plain form. A reward model is saved with its tokenizer, so it keeps the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from more_repro.lm.chat_template import template_prompts, template_responses
from more_repro.records import Message
from more_repro.rendering import render_prompt


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of a transcript; the loss is on the tokens after the first `n_prompt_tokens`."""

    ids: list[int]
    n_prompt_tokens: int


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each text and nothing else: special tokens written in a text are plain characters here."""
    if not texts:
        return []
    # Truncation is cut_left's work, so `truncation=False`; verbose=False spares a warning for each long text.
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        split_special_tokens=True,
        truncation=False,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return encoded["input_ids"]


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[tuple[Message, ...]]) -> list[list[int]]:
    """Tokens of each rendered prompt. In the plain form the tokenizer's bos stands before it, if there is one."""
    if tokenizer.chat_template is not None:
        return template_prompts(tokenizer, prompts)
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    return [start + ids for ids in encode_texts(tokenizer, [render_prompt(prompt) for prompt in prompts])]


def encode_responses(tokenizer: PreTrainedTokenizerBase, responses: Sequence[str]) -> list[list[int]]:
    """Tokens of each response, then eos, or what the chat template writes after a response."""
    if tokenizer.chat_template is not None:
        return template_responses(tokenizer, responses)
    return [[*ids, tokenizer.eos_token_id] for ids in encode_texts(tokenizer, responses)]


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: tuple[Message, ...]) -> list[int]:
    """Tokens of one rendered prompt."""
    return encode_prompts(tokenizer, [prompt])[0]


def encode_response(tokenizer: PreTrainedTokenizerBase, response: str) -> list[int]:
    """Tokens of one response and its end."""
    return encode_responses(tokenizer, [response])[0]


def response_end(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that stand after every response: eos, and what a chat template writes after it."""
    ids = encode_response(tokenizer, "x")
    return ids[ids.index(tokenizer.eos_token_id) :]


def decode_response(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of response tokens, eos left out by the caller."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def cut_left(prompt_ids: list[int], response_ids: list[int], max_length: int) -> Example:
    """Prompt and response as one sequence of at most `max_length` tokens; what is over goes from the left."""
    over = max(0, len(prompt_ids) + len(response_ids) - max_length)
    return Example((prompt_ids + response_ids)[over:], max(0, len(prompt_ids) - over))


def encode_examples(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[Message, ...]],
    responses: Sequence[str],
    max_length: int,
) -> list[Example]:
    """One example per prompt and response, cut to `max_length` tokens from the left.

    Raises ValueError when the two lists differ in length.
    """
    if len(prompts) != len(responses):
        raise ValueError(f"{len(prompts)} prompts but {len(responses)} responses")
    left, right = encode_prompts(tokenizer, prompts), encode_responses(tokenizer, responses)
    return [cut_left(a, b, max_length) for a, b in zip(left, right, strict=True)]
