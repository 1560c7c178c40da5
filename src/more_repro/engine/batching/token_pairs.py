"""Pairs as tokens: every distinct sequence once, in one flat tensor, padded without a loop over rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from transformers import PreTrainedTokenizerBase

from more_repro.lm.encoding import encode_prompts, encode_responses
from more_repro.records import Message, PreferencePair


@dataclass(frozen=True, slots=True)
class TokenSequences:
    """n token sequences, one after the other.

    flat: (sum of lengths,) int32. starts, lengths: (n,) int64.
    """

    flat: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor

    def __len__(self) -> int:
        return int(self.lengths.numel())

    def padded(self, rows: torch.Tensor, pad: int = 0) -> torch.Tensor:
        """The sequences of the given rows (m,) padded on the right to the longest: (m, T) int64.

        What stands in the padding never matters: attention is causal, and the end is known by length.
        """
        lengths = self.lengths[rows]
        columns = torch.arange(int(lengths.max()))
        index = (self.starts[rows][:, None] + columns).clamp_(max=self.flat.numel() - 1)
        return torch.where(columns < lengths[:, None], self.flat[index].long(), pad)


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """n pairs over their distinct sequences.

    chosen, rejected: (n,) rows of `sequences`. truncated: (n,) bool, one side or both lost its left end.
    A pair that is equal after truncation has chosen == rejected: it scores as a tie and trains nothing.
    """

    pair_ids: tuple[str, ...]
    sequences: TokenSequences
    chosen: torch.Tensor
    rejected: torch.Tensor
    truncated: torch.Tensor

    @property
    def equal(self) -> torch.Tensor:
        """(n,) bool: both sides hold the same tokens after truncation."""
        return self.chosen == self.rejected

    @property
    def n_truncated(self) -> int:
        return int(self.truncated.sum())

    @property
    def n_equal(self) -> int:
        return int(self.equal.sum())

    def index(self) -> dict[str, int]:
        """Row of each pair_id."""
        return {pair_id: row for row, pair_id in enumerate(self.pair_ids)}


def encode_sequences(
    prompts: Sequence[tuple[Message, ...]],
    responses: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[TokenSequences, torch.Tensor, torch.Tensor]:
    """Tokens of n transcripts: prompt + response + end, cut to max_length from the left (spec section 3).

    Returns the distinct sequences, the row of each transcript (n,) int64, and whether it was cut (n,) bool. Each
    distinct prompt and response is tokenized once. Raises ValueError on a max_length below 1.
    """
    distinct_prompts, distinct_responses = list(dict.fromkeys(prompts)), list(dict.fromkeys(responses))
    left = dict(zip(distinct_prompts, encode_prompts(tokenizer, distinct_prompts), strict=True))
    right = dict(zip(distinct_responses, encode_responses(tokenizer, distinct_responses), strict=True))
    tokens = (left[prompt] + right[response] for prompt, response in zip(prompts, responses, strict=True))
    return distinct_sequences(tokens, max_length)


def distinct_sequences(
    transcripts: Iterable[Sequence[int]], max_length: int
) -> tuple[TokenSequences, torch.Tensor, torch.Tensor]:
    """The distinct sequences of n token lists cut to max_length from the left, the row of each list (n,) int64, and
    whether it was cut (n,) bool. Raises ValueError on a max_length below 1."""
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1 token, found {max_length}")
    known: dict[tuple[int, ...], int] = {}
    rows, cut = [], []
    for tokens in transcripts:
        rows.append(known.setdefault(tuple(tokens[-max_length:]), len(known)))
        cut.append(len(tokens) > max_length)
    lengths = torch.tensor([len(tokens) for tokens in known], dtype=torch.int64)
    flat = torch.tensor(list(chain.from_iterable(known)), dtype=torch.int32)
    sequences = TokenSequences(flat, starts_of(lengths), lengths)
    return sequences, torch.tensor(rows, dtype=torch.int64), torch.tensor(cut, dtype=torch.bool)


def starts_of(lengths: torch.Tensor) -> torch.Tensor:
    """Where each sequence begins in the flat tensor: (n,) from lengths (n,)."""
    return lengths.cumsum(0) - lengths


def encode_pairs(pairs: Sequence[PreferencePair], tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedPairs:
    """Tokens of both sides of every pair, over their distinct sequences."""
    prompts = [pair.prompt for pair in pairs]
    responses = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    sequences, rows, cut = encode_sequences(prompts * 2, responses, tokenizer, max_length)
    n = len(pairs)
    return EncodedPairs(tuple(pair.pair_id for pair in pairs), sequences, rows[:n], rows[n:], cut[:n] | cut[n:])


def join(parts: Sequence[TokenSequences]) -> tuple[TokenSequences, list[int]]:
    """Several sets of sequences as one, and the row at which each part begins."""
    lengths = torch.cat([part.lengths for part in parts])
    first_rows = starts_of(torch.tensor([len(part) for part in parts])).tolist()
    return TokenSequences(torch.cat([part.flat for part in parts]), starts_of(lengths), lengths), first_rows
