"""Decoding a batch of prompts token by token: each prompt is read once, rows that ended drop out."""

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from more_repro.lm.kv_cache import growing_cache

_BLOCK = 64  # entries of the vocabulary whose probability is summed before a token is looked for among them
_DROPPED_SHARE = 8  # ended rows leave when they are one in eight: to leave, every other row's cache is copied


@torch.no_grad()
def decode(
    model: PreTrainedModel, encoded: list[list[int]], uniforms: np.ndarray, temperature: float, *, pad: int, eos: int
) -> Tensor:
    """New tokens (rows, max_new_tokens) of prompts with n rows each; after eos a row holds pad.

    encoded: tokens of each prompt. uniforms: (rows, max_new_tokens), the rows of a prompt one after the other.
    """
    device = next(model.parameters()).device
    ids, mask = _pad_left(encoded, pad, device)
    padded = not bool(mask.all())  # without padding there is nothing to mask
    numbers = torch.from_numpy(uniforms).to(device)
    tokens = torch.full(numbers.shape, pad, dtype=torch.long, device=device)
    n, longest = len(tokens) // len(encoded), tokens.shape[1]
    cache = growing_cache(model.config, longest)
    logits = _logits(model, ids, mask if padded else None, (mask.cumsum(1) - 1).clamp(min=0), cache)
    logits, mask = (one.repeat_interleave(n, dim=0) for one in (logits, mask))
    cache.batch_repeat_interleave(n)
    rows = torch.arange(len(tokens), device=device)  # rows that the cache holds
    going = torch.ones_like(rows, dtype=torch.bool)  # of these, rows that have not ended
    for step in range(longest):
        logits[:, pad] = -torch.inf  # padding is no word of any response
        new = choose(logits, temperature, numbers[rows, step])
        tokens[rows, step] = torch.where(going, new, pad)
        going &= new != eos
        n_going = int(going.sum())
        if step + 1 == longest or not n_going:
            break
        if _DROPPED_SHARE * (len(rows) - n_going) >= len(rows):
            kept = going.nonzero()[:, 0]
            rows, new, mask, going = rows[kept], new[kept], mask[kept], going[kept]
            cache.batch_select_indices(kept)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        logits = _logits(model, new[:, None], mask if padded else None, mask.sum(1, keepdim=True) - 1, cache)
    return tokens


def choose(logits: Tensor, temperature: float, uniforms: Tensor) -> Tensor:
    """One token per row (rows,): the first whose cumulative probability passes the row's number in [0, 1).

    logits: (rows, vocabulary). At temperature 0 the likeliest token. A token without probability is never chosen.
    """
    best = logits.argmax(dim=1)
    if temperature == 0:
        return best
    mass = torch.exp((logits - logits.gather(1, best[:, None])) / temperature)
    # Sums of blocks first, then the tokens of one block: a running sum over the whole vocabulary takes several times
    # as long as the exponentials.
    mass = torch.nn.functional.pad(mass, (0, -mass.shape[1] % _BLOCK)).unflatten(1, (-1, _BLOCK))
    sums = mass.sum(dim=2, dtype=torch.float64).cumsum(dim=1)
    wanted = uniforms[:, None] * sums[:, -1:]
    block = (sums <= wanted).sum(dim=1).clamp(max=sums.shape[1] - 1)
    row = torch.arange(len(block), device=block.device)
    before = torch.where(block > 0, sums[row, block - 1], 0.0)
    passed = before[:, None] + mass[row, block].cumsum(dim=1, dtype=torch.float64) <= wanted
    place = passed.sum(dim=1)
    # Rounding can leave a block's running sum below its sum: then no token of it passes.
    return torch.where(place < _BLOCK, block * _BLOCK + place, best)


def _logits(model: PreTrainedModel, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache) -> Tensor:
    """Logits (rows, vocabulary) of the token after the last, in fp32; the cache grows."""
    hidden = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state[:, -1]
    return model.get_output_embeddings()(hidden).float()


def _pad_left(encoded: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with padding on the left, and their mask (B, T) of int64."""
    longest = max(len(ids) for ids in encoded)
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in encoded], dtype=torch.long, device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in encoded], device=device)
    return ids, mask
