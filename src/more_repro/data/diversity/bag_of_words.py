"""Pairs of a source as bags of words: one pass over the texts, sparse and small."""

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack

from more_repro.data.diversity.keyed_random import Keys, order, prompt_keys
from more_repro.records import prompt_from_json
from more_repro.stats.intervals import Codes, Floats

WORD = r"\w+(?:['’]\w+)*"
_FIND = re.compile(WORD)
_SLICE = 2000  # texts that are Python objects at a time


@dataclass(frozen=True, slots=True)
class Texts:
    """n pairs of one source and split, of G prompts; `counts` has 2n rows, the chosen responses first.

    prompts: the number in 0..G-1 of each pair's prompt; keys: the key of each prompt.
    """

    source: str
    counts: csr_matrix
    words: tuple[str, ...]
    chosen_words: Floats
    rejected_words: Floats
    prompt_words: Floats
    turns: Floats
    prompts: Codes
    keys: Keys

    def __len__(self) -> int:
        return len(self.prompts)

    def totals(self) -> tuple[Floats, Floats]:
        """How often each word stands in chosen and in rejected responses."""
        n = len(self)
        return _sums(self.counts[:n]), _sums(self.counts[n:])


class _Numbers(dict[str, int]):
    """Numbers words in the order in which they come up."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


def count_words(source: str, pairs: pd.DataFrame) -> Texts:
    """Bags of words of a table `pairs`, over all words that occur, in lower case."""
    numbers = _Numbers()
    ids, starts, lengths = array("i"), array("q", [0]), array("d")
    for column in ("chosen", "rejected"):
        for text in _texts(pairs[column]):
            ids.extend(map(numbers.__getitem__, _FIND.findall(text.lower())))
            starts.append(len(ids))
            lengths.append(len(text.split()))
    ones = np.ones(len(ids), dtype=np.float32)
    shape = (2 * len(pairs), len(numbers))
    counts = csr_matrix((ones, np.array(ids, dtype=np.int32), np.array(starts, dtype=np.int32)), shape=shape)
    counts.sum_duplicates()
    prompt_words, turns = _of_prompts(pairs["prompt"])
    codes, prompt_ids = pd.factorize(pairs["prompt_id"])
    return Texts(
        source=source,
        counts=counts,
        words=tuple(numbers),
        chosen_words=np.array(lengths[: len(pairs)]),
        rejected_words=np.array(lengths[len(pairs) :]),
        prompt_words=prompt_words,
        turns=turns,
        prompts=codes.astype(np.int64),
        keys=prompt_keys(prompt_ids),
    )


def sample(texts: Texts, most: int, seed: int) -> Texts:
    """All pairs of prompts drawn at random, at most `most` pairs, and the words that they hold."""
    if len(texts) <= most:
        return texts
    ranked = order(texts.keys, seed, "pairs")
    sizes = np.bincount(texts.prompts, minlength=len(texts.keys))
    kept = np.zeros(len(texts.keys), dtype=bool)
    kept[ranked[np.cumsum(sizes[ranked]) <= most]] = True
    rows = np.flatnonzero(kept[texts.prompts])
    codes, known = pd.factorize(texts.prompts[rows])
    counts = texts.counts[np.concatenate([rows, rows + len(texts)])]
    used = np.unique(counts.indices)
    return replace(
        texts,
        counts=counts[:, used],
        words=tuple(texts.words[number] for number in used),
        chosen_words=texts.chosen_words[rows],
        rejected_words=texts.rejected_words[rows],
        prompt_words=texts.prompt_words[rows],
        turns=texts.turns[rows],
        prompts=codes.astype(np.int64),
        keys=texts.keys[known],
    )


def restrict(texts: Texts, vocabulary: Sequence[str]) -> Texts:
    """The same pairs over the given words, in their order; a word that never occurs has a column of zeros."""
    place = {word: number for number, word in enumerate(vocabulary)}
    old = [number for number, word in enumerate(texts.words) if word in place]
    new = [place[texts.words[number]] for number in old]
    chosen = csr_matrix((np.ones(len(old), np.float32), (old, new)), shape=(len(texts.words), len(place)))
    return replace(texts, counts=csr_matrix(texts.counts @ chosen), words=tuple(vocabulary))


def common_vocabulary(texts: Mapping[str, Texts], size: int) -> list[str]:
    """The `size` words with the highest mean frequency over sources, sorted; each source counts alike."""
    shares: dict[str, float] = {}
    for each in texts.values():
        total = _sums(each.counts)
        for word, share in zip(each.words, total / max(total.sum(), 1.0), strict=True):
            shares[word] = shares.get(word, 0.0) + float(share)
    return sorted(sorted(shares, key=lambda word: (-shares[word], word))[:size])


def differences(texts: Texts) -> csr_matrix:
    """Features (n, words + 1) of chosen minus rejected: log1p counts, and log1p of the number of words last."""
    n = len(texts)
    logs = texts.counts.log1p()
    length = np.log1p(texts.chosen_words) - np.log1p(texts.rejected_words)
    return csr_matrix(hstack([logs[:n] - logs[n:], csr_matrix(length[:, None])]), dtype=np.float64)


def per_prompt(texts: Texts) -> tuple[csr_matrix, csr_matrix]:
    """Counts of chosen and of rejected responses, summed over the pairs of each prompt: two matrices (G, words)."""
    n = len(texts)
    groups = csr_matrix(
        (np.ones(n, np.float32), (texts.prompts, np.arange(n))), shape=(len(texts.keys), n), dtype=np.float32
    )
    return csr_matrix(groups @ texts.counts[:n]), csr_matrix(groups @ texts.counts[n:])


def _texts(column: pd.Series) -> Iterable[str]:
    """The texts of a column, a slice at a time: a column of Arrow strings is far smaller than its Python objects."""
    for start in range(0, len(column), _SLICE):
        yield from column.iloc[start : start + _SLICE]


def _of_prompts(column: pd.Series) -> tuple[Floats, Floats]:
    """Words and user turns of each prompt."""
    words, turns = np.empty(len(column)), np.empty(len(column))
    for row, text in enumerate(_texts(column)):
        messages = prompt_from_json(text)
        words[row] = sum(len(message.content.split()) for message in messages)
        turns[row] = sum(message.role == "user" for message in messages)
    return words, turns


def _sums(counts: csr_matrix) -> Floats:
    return np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
