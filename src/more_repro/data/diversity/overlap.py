"""What sources share: the same prompts, the same comparisons, and the same frequent words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from more_repro.data.diversity import keyed_random
from more_repro.data.diversity.bag_of_words import Texts, per_prompt
from more_repro.data.diversity.keyed_random import Keys
from more_repro.stats.clustered import clustered_share
from more_repro.stats.intervals import Codes, Interval, normal_interval

Line = tuple[str, str, str, float, float, float, int]
FREQUENT_WORDS = 1000
_CANDIDATES = 4 * FREQUENT_WORDS  # a word that is rarer in a source never is among the most frequent of its half
_SPLITS, _DRAWS = 10, 40


@dataclass(frozen=True, slots=True)
class Frequent:
    """The most frequent words of halves of a source: numbers of words, (splits, 2, w), and the same for draws.

    -1 fills the places of words that a half does not have. prompts: the keys of all prompts of the source.
    """

    prompts: Keys
    words: tuple[str, ...]
    splits: NDArray[np.int64]
    draws: NDArray[np.int64]


def frequent_words(texts: Texts, prompts: Keys, seed: int) -> Frequent:
    """The 1000 most frequent words of both halves of 10 splits of prompts, and of halves of 40 bootstrap samples.

    A half with fewer different words has all of them. texts: a part of a source is enough; prompts: the keys of all of
    it, because a sample of one source would miss prompts that a sample of another holds.
    """
    rank = np.argsort(np.argsort(np.array(texts.words, dtype=object)))  # ties by the alphabet
    kept = _first(np.add(*texts.totals()), rank, _CANDIDATES)
    kept = np.sort(kept[kept >= 0])
    chosen, rejected = per_prompt(texts)
    counts = (chosen + rejected)[:, kept].T.tocsr()
    halves = keyed_random.halves(texts.keys, seed, _SPLITS + _DRAWS)
    times = np.vstack([np.ones((_SPLITS, len(texts.keys))), keyed_random.poisson_times(texts.keys, seed, _DRAWS)])
    weights = np.concatenate([times * halves, times * ~halves]).astype(np.float32)
    totals = np.asarray(counts @ np.ascontiguousarray(weights.T)).T
    tops = np.stack([_first(row, rank[kept], FREQUENT_WORDS) for row in totals])
    known = np.unique(tops[tops >= 0])
    tops = np.where(tops >= 0, np.searchsorted(known, tops), -1)
    tops = tops.reshape(2, _SPLITS + _DRAWS, -1).transpose(1, 0, 2)
    return Frequent(prompts, tuple(texts.words[n] for n in kept[known]), tops[:_SPLITS], tops[_SPLITS:])


def _first(counts: NDArray, rank: NDArray, most: int) -> NDArray:
    """Places of the `most` largest counts, equal ones by rank; -1 where there are fewer above zero."""
    places = np.lexsort((rank, -counts))[:most]
    found = np.where(counts[places] > 0, places, -1)
    return np.pad(found, (0, most - len(found)), constant_values=-1)


def overlaps(frequent: Mapping[str, Frequent], confidence: float) -> Iterator[Line]:
    """Lines prompt_overlap (share of a's prompts that b has too) and vocabulary_jaccard of table `source_similarity`.

    The jaccard is that of a half of a with the other half of b, so (a, a) shows what the same source gives. Its
    interval is normal, from halves of bootstrap samples of prompts; that of the prompts takes b's as given. n: prompts
    of a, and the words of the half that has fewest.
    """
    common = _common(frequent)
    for a, b in product(frequent, frequent):
        held = np.isin(frequent[a].prompts, frequent[b].prompts).astype(np.float64)
        share = clustered_share(held, np.arange(len(held)), confidence) if a != b else Interval(1.0)
        yield (a, b, "prompt_overlap", *share.values(), len(held))
        jaccard = _jaccard_interval(common, a, b, confidence)
        yield (a, b, "vocabulary_jaccard", *jaccard.values(), _n_words(frequent, a, b))


def _jaccard_interval(common: Mapping[str, tuple[NDArray, NDArray]], a: str, b: str, confidence: float) -> Interval:
    splits, draws = (_jaccards(common[a][which], common[b][which]) for which in (0, 1))
    if np.isnan(splits).any() or np.isnan(draws).any():
        return Interval(float(splits.mean()))
    return normal_interval(float(splits.mean()), float(draws.std(ddof=1)), confidence).within(0.0, 1.0)


def _jaccards(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Mean jaccard of a's half with b's other half, for each split; NaN where a split has no words on both sides."""
    found = np.empty((len(a), 2))
    for split in range(len(a)):
        for half in (0, 1):
            first, second = (each[each >= 0] for each in (a[split, half], b[split, 1 - half]))
            shared = len(np.intersect1d(first, second, assume_unique=True))
            either = len(first) + len(second) - shared
            found[split, half] = shared / either if either else np.nan
    return np.asarray(found.mean(axis=1))


@dataclass(frozen=True, slots=True)
class Comparisons:
    """What n pairs compare, whichever side was chosen: a key (n,), and which side it was.

    turned: whether the chosen response is the one of larger hash (n,). prompts: the number of each pair's prompt (n,).
    """

    keys: Keys
    turned: keyed_random.Flags
    prompts: Codes


def comparisons(pairs: pd.DataFrame) -> Comparisons:
    """Comparisons of a table `pairs`, exact up to 64-bit hashes."""
    chosen, rejected = (pd.util.hash_array(pairs[side].to_numpy(dtype=object)) for side in ("chosen", "rejected"))
    codes, prompt_ids = pd.factorize(pairs["prompt_id"])
    factors = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))  # odd: a side moves every higher bit
    lower, upper = (np.asarray(pick(chosen, rejected), dtype=np.uint64) for pick in (np.minimum, np.maximum))
    both: Keys = lower * factors[0] + upper * factors[1]
    keys = keyed_random.prompt_keys(prompt_ids)[codes] ^ (both ^ (both >> np.uint64(31)))
    return Comparisons(keys, chosen > rejected, codes.astype(np.int64))


def shared_comparisons(found: Mapping[str, Comparisons], confidence: float) -> Iterator[Line]:
    """Lines shared_pairs and shared_opposed of table `source_similarity`, for two different sources.

    shared_pairs: share of a's pairs whose prompt and two responses b compares too. shared_opposed: of these, the share
    in which the other response is chosen: conflict that is seen, not estimated; NaN where no pair is shared.
    """
    for a, b in product(found, found):
        if a == b:
            continue
        _, mine, theirs = np.intersect1d(found[a].keys, found[b].keys, return_indices=True)
        held = np.zeros(len(found[a].keys))
        held[mine] = 1.0
        shared = clustered_share(held, found[a].prompts, confidence)
        yield (a, b, "shared_pairs", *shared.values(), len(held))
        opposed = (found[a].turned[mine] != found[b].turned[theirs]).astype(np.float64)
        share = clustered_share(opposed, found[a].prompts[mine], confidence)
        yield (a, b, "shared_opposed", *share.values(), len(mine))


def _common(frequent: Mapping[str, Frequent]) -> dict[str, tuple[NDArray, NDArray]]:
    """Every source's words as numbers that all sources share."""
    numbers: dict[str, int] = {}
    made = {}
    for name, each in frequent.items():
        # The last place is that of -1, "no word", which stays -1.
        places = np.array([*(numbers.setdefault(word, len(numbers)) for word in each.words), -1], dtype=np.int64)
        made[name] = (places[each.splits], places[each.draws])
    return made


def _n_words(frequent: Mapping[str, Frequent], a: str, b: str) -> int:
    return int(min((frequent[name].splits >= 0).sum(axis=2).min() for name in (a, b)))
