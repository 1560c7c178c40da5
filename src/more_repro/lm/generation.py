"""Sampling responses from a causal language model; what is drawn for a prompt depends on no other prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from more_repro.lm.decoding import decode
from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import decode_response, encode_prompts
from more_repro.records import Message, prompt_json
from more_repro.stats.random import numbered


@dataclass(frozen=True, slots=True)
class Generated:
    """A response: its text without eos, its tokens (eos counted), and whether the policy ended it itself."""

    text: str
    n_tokens: int
    finished: bool


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[Message, ...]],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    batch_size: int,
    max_prompt_tokens: int | None = None,
) -> list[list[Generated]]:
    """`n` responses for each prompt, shape (prompts, n). Temperature 0 takes the likeliest token.

    Each token is read off the model's distribution with one uniform number, and these come from a generator seeded by
    the seed, the prompt and the sample's number. So other prompts, their order and the batch size change nothing but
    float rounding, two policies asked with the same seed share their random numbers, and equal prompts are drawn once.
    batch_size: sequences decoded together. Prompts longer than `max_prompt_tokens` lose their left end.
    Raises ValueError for settings that ask for nothing.
    """
    check_settings(n, max_new_tokens, temperature)
    distinct = list(dict.fromkeys(prompts))
    encoded, _ = encode_cut(tokenizer, distinct, max_prompt_tokens)
    found: dict[tuple[Message, ...], list[Generated]] = {}
    model.eval()
    with pinned_threads():
        for batch in plan_batches([len(ids) for ids in encoded], max(1, batch_size // n)):
            uniforms = np.concatenate([_uniforms(seed, distinct[number], n, max_new_tokens) for number in batch])
            tokens = decode(
                model, [encoded[number] for number in batch], uniforms, temperature,
                pad=tokenizer.pad_token_id, eos=tokenizer.eos_token_id,
            ).tolist()  # fmt: skip
            for row, number in enumerate(batch):
                found[distinct[number]] = [response_of(tokenizer, ids) for ids in tokens[row * n : (row + 1) * n]]
    return [list(found[prompt]) for prompt in prompts]


def check_settings(n: int, max_new_tokens: int, temperature: float) -> None:
    """Raise ValueError for settings that ask for nothing."""
    if temperature < 0 or max_new_tokens < 1 or n < 1:
        raise ValueError(f"found temperature {temperature}, max_new_tokens {max_new_tokens}, n {n}")


def encode_cut(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[tuple[Message, ...]], max_prompt_tokens: int | None
) -> tuple[list[list[int]], list[bool]]:
    """Tokens of each prompt without what its left end has too many, and whether it was cut."""
    encoded = encode_prompts(tokenizer, prompts)
    if max_prompt_tokens is None:
        return encoded, [False] * len(encoded)
    return [ids[-max_prompt_tokens:] for ids in encoded], [len(ids) > max_prompt_tokens for ids in encoded]


def plan_batches(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Numbers of the prompts of each batch, at most `width`: prompts of like length (tokens) stand together."""
    order = sorted(range(len(lengths)), key=lambda number: (lengths[number], number))
    return [order[start : start + width] for start in range(0, len(order), width)]


def response_of(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> Generated:
    """The response that new tokens are: what stands before the first eos, or all of it where the policy wrote none."""
    ids = list(ids)
    finished = tokenizer.eos_token_id in ids
    written = ids[: ids.index(tokenizer.eos_token_id)] if finished else ids
    return Generated(decode_response(tokenizer, written), len(written) + finished, finished)


def prompt_words(prompt: tuple[Message, ...]) -> list[int]:
    """Four 32-bit words that stand for a prompt in the seeds of random generators."""
    digest = hashlib.sha256(prompt_json(prompt).encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def _uniforms(seed: int, prompt: tuple[Message, ...], n: int, length: int) -> np.ndarray:
    """Numbers in [0, 1) of shape (n, length); sample i has the same ones whatever n is."""
    words = prompt_words(prompt)
    return np.stack([numbered(seed, number, *words).random(length) for number in range(n)])
