"""Runs of eight words of prompts, as 64-bit hashes: what near-duplicates are compared by."""

import hashlib
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from more_repro.records import Message, prompt_from_json
from more_repro.stats.intervals import Codes

RUN_WORDS = 8  # long enough that chance and set phrases rarely fill half of a prompt

_WORD = re.compile(r"\w+")
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that multiplying by it loses no bit
_TEXTS_AT_ONCE = 2000

Hashes = NDArray[np.uint64]


class Runs:
    """The different runs of words of some prompts: hashes (m,) with the prompt that holds each, (m,) ascending."""

    def __init__(self, prompts: pd.Series, among: Hashes | None = None) -> None:
        """prompts: JSON. among: sorted hashes; other runs are left out at once, so that a large set takes no room."""
        hasher = _WordHasher()
        parts = list(_run_hashes(prompts, hasher, among))
        self.hashes: Hashes = np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in parts)])
        self.prompts: Codes = np.concatenate([np.empty(0, np.int64), *(owners for _, owners in parts)])


class _WordHasher(dict[str, int]):
    """64 bits of each word, the same in every process."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8"), digest_size=8).digest()
        value = self[word] = int.from_bytes(digest, "little") | 1  # never 0, which fills short prompts
        return value


def _run_hashes(prompts: pd.Series, hasher: _WordHasher, among: Hashes | None) -> Iterator[tuple[Hashes, Codes]]:
    """For some prompts at a time: (hashes, numbers of the prompts) of their runs, each run of a prompt once."""
    for start in range(0, len(prompts), _TEXTS_AT_ONCE):
        words = [_words(prompt_from_json(text)) for text in prompts.iloc[start : start + _TEXTS_AT_ONCE]]
        lengths = np.array([len(line) for line in words], dtype=np.int64)
        slots = np.where(lengths > 0, np.maximum(lengths, RUN_WORDS), 0)
        ends = np.cumsum(slots)
        filled = np.zeros(int(ends[-1]), dtype=np.uint64)
        owner = np.repeat(np.arange(len(words)), slots)
        place = np.arange(len(filled)) - (ends - slots)[owner]
        flat = np.fromiter((hasher[word] for line in words for word in line), np.uint64, int(lengths.sum()))
        filled[place < lengths[owner]] = flat
        begins = np.flatnonzero(place <= slots[owner] - RUN_WORDS)
        hashes, owners = _roll(filled, begins), owner[begins]
        if among is not None:
            kept = _member(hashes, among)
            hashes, owners = hashes[kept], owners[kept]
        order = np.lexsort((hashes, owners))
        hashes, owners = hashes[order], owners[order]
        first = np.ones(len(hashes), dtype=bool)
        first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
        yield hashes[first], owners[first] + start


def _words(prompt: tuple[Message, ...]) -> list[str]:
    return _WORD.findall("\n".join(message.content for message in prompt).lower())


def _roll(filled: Hashes, begins: Codes) -> Hashes:
    """One hash for the RUN_WORDS words from each beginning; unsigned numbers wrap."""
    hashes = np.zeros(len(begins), dtype=np.uint64)
    for offset in range(RUN_WORDS):
        hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(_FACTOR) + filled[begins + offset]
    return hashes


def _member(hashes: Hashes, among: Hashes) -> NDArray[np.bool_]:
    if not len(among):
        return np.zeros(len(hashes), dtype=np.bool_)
    return among[np.minimum(np.searchsorted(among, hashes), len(among) - 1)] == hashes
