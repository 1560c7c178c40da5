"""Sampling responses from a causal language model; what is drawn for a prompt depends on no other prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import decode_response, encode_prompts
from more_repro.records import Message, prompt_json


@dataclass(frozen=True, slots=True)
class Generated:
    """A response: its text without eos, its tokens (eos counted), and whether the policy ended it itself."""

    text: str
    n_tokens: int
    finished: bool


@torch.no_grad()
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
    float rounding, and two policies asked with the same seed share their random numbers.
    batch_size: sequences decoded together. Prompts longer than `max_prompt_tokens` lose their left end.
    """
    if temperature < 0 or max_new_tokens < 1 or n < 1:
        raise ValueError(f"found temperature {temperature}, max_new_tokens {max_new_tokens}, n {n}")
    encoded = encode_prompts(tokenizer, prompts)
    if max_prompt_tokens is not None:
        encoded = [ids[-max_prompt_tokens:] for ids in encoded]
    order = sorted(range(len(prompts)), key=lambda number: (len(encoded[number]), number))
    width = max(1, batch_size // n)
    results: list[list[Generated]] = [[] for _ in prompts]
    model.eval()
    with pinned_threads():
        for start in range(0, len(order), width):
            batch = order[start : start + width]
            uniforms = np.concatenate([_uniforms(seed, prompts[number], n, max_new_tokens) for number in batch])
            tokens = _decode(model, tokenizer, [encoded[number] for number in batch], n, temperature, uniforms)
            for row, number in enumerate(batch):
                rows = tokens[row * n : (row + 1) * n].tolist()
                results[number] = [_generated(tokenizer, ids) for ids in rows]
    return results


def _decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: list[list[int]],
    n: int,
    temperature: float,
    uniforms: np.ndarray,
) -> Tensor:
    """New tokens (rows, max_new_tokens), rows = n per prompt; after eos a row holds pad."""
    device = next(model.parameters()).device
    ids, mask = _pad_left(encoded, tokenizer.pad_token_id, device)
    numbers = torch.from_numpy(uniforms).to(device)  # (rows, max_new_tokens)
    tokens = torch.full(numbers.shape, tokenizer.pad_token_id, dtype=torch.long, device=device)
    cache = DynamicCache(config=model.config)
    logits = _logits(model, ids, mask, (mask.cumsum(1) - 1).clamp(min=0), cache).repeat_interleave(n, dim=0)
    cache.batch_repeat_interleave(n)
    mask = mask.repeat_interleave(n, dim=0)
    rows = torch.arange(len(tokens), device=device)  # rows still being written
    for step in range(tokens.shape[1]):
        logits[:, tokenizer.pad_token_id] = -torch.inf  # padding is no word of any response
        new = _choose(logits, temperature, numbers[rows, step])
        tokens[rows, step] = new
        going = torch.nonzero(new != tokenizer.eos_token_id).squeeze(1)
        if step + 1 == tokens.shape[1] or not len(going):
            break
        if len(going) < len(rows):
            rows, new, mask = rows[going], new[going], mask[going]
            cache.batch_select_indices(going)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        logits = _logits(model, new[:, None], mask, mask.sum(1, keepdim=True) - 1, cache)
    return tokens


def _logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
    """Logits (rows, vocabulary) of the token after the last, in fp32; the cache grows."""
    padded = None if bool(mask.all()) else mask  # without padding there is nothing to mask
    hidden = model.base_model(
        input_ids=ids, attention_mask=padded, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state[:, -1]
    return model.get_output_embeddings()(hidden).float()


def _choose(logits: Tensor, temperature: float, uniforms: Tensor) -> Tensor:
    """One token per row: the first whose cumulative probability passes the row's uniform number."""
    best = logits.argmax(dim=1)
    if temperature == 0:
        return best
    scaled = (logits - logits.gather(1, best[:, None])).double() / temperature
    cumulative = torch.softmax(scaled, dim=1).cumsum(dim=1)
    # Scaled by the last entry, which rounding may leave below 1: a number past it would name no token.
    passed = cumulative <= uniforms[:, None] * cumulative[:, -1:]
    tokens = passed.sum(dim=1)
    return torch.where(tokens < logits.shape[1], tokens, best)


def _uniforms(seed: int, prompt: tuple[Message, ...], n: int, length: int) -> np.ndarray:
    """Numbers in [0, 1) of shape (n, length); sample i has the same ones whatever n is."""
    digest = hashlib.sha256(prompt_json(prompt).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.stack([np.random.default_rng([seed, number, *words]).random(length) for number in range(n)])


def _pad_left(encoded: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with padding on the left, and their mask (B, T) of int64."""
    longest = max(len(ids) for ids in encoded)
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in encoded], dtype=torch.long, device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in encoded], device=device)
    return ids, mask


def _generated(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> Generated:
    finished = tokenizer.eos_token_id in ids
    written = ids[: ids.index(tokenizer.eos_token_id)] if finished else ids
    return Generated(decode_response(tokenizer, written), len(written) + finished, finished)
