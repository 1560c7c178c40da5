"""Pairs of a source as bags of words, and the words that mark its chosen responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer

from more_repro.data.intervals import Codes, Floats
from more_repro.records import prompt_from_json

_TOKEN = r"(?u)\w+(?:['’]\w+)*"  # noqa: S105 - a pattern of words
_PRIOR_WORDS = 1000.0  # weight of the prior of word_log_odds, in words
_TOP = 15


@dataclass(frozen=True, slots=True)
class Texts:
    """Pairs of one source and split, n of them; `counts` has 2n rows, the chosen responses first."""

    source: str
    counts: csr_matrix
    words: tuple[str, ...]
    chosen_words: Floats
    rejected_words: Floats
    prompt_words: Floats
    turns: Floats
    prompts: Codes
    prompt_ids: frozenset[str]

    def __len__(self) -> int:
        return len(self.prompts)

    def totals(self) -> tuple[Floats, Floats]:
        """How often each word stands in chosen and in rejected responses."""
        n = len(self)
        return _sums(self.counts[:n]), _sums(self.counts[n:])


def count_words(source: str, pairs: pd.DataFrame, vocabulary: Sequence[str] | None = None) -> Texts:
    """Bags of words of a table `pairs`, over the given words or over all that occur."""
    vectorizer = CountVectorizer(token_pattern=_TOKEN, vocabulary=vocabulary)
    counts = csr_matrix(vectorizer.fit_transform([*pairs["chosen"], *pairs["rejected"]]), dtype=np.float64)
    codes, ids = pd.factorize(pairs["prompt_id"])
    messages = [prompt_from_json(text) for text in pairs["prompt"]]
    return Texts(
        source=source,
        counts=counts,
        words=tuple(vectorizer.get_feature_names_out()),
        chosen_words=_lengths(pairs["chosen"]),
        rejected_words=_lengths(pairs["rejected"]),
        prompt_words=np.array([sum(len(m.content.split()) for m in prompt) for prompt in messages], dtype=np.float64),
        turns=np.array([len(prompt) for prompt in messages], dtype=np.float64),
        prompts=codes.astype(np.int64),
        prompt_ids=frozenset(ids),
    )


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
    return csr_matrix(hstack([logs[:n] - logs[n:], csr_matrix(length[:, None])]))


def word_log_odds(texts: Mapping[str, Texts]) -> pd.DataFrame:
    """Table `word_log_odds`: for each source the words with the largest |z|, chosen against rejected.

    Log odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008), the prior being the words of all
    sources together. z takes words for independent draws, so it ranks words and tests nothing.
    """
    background: dict[str, float] = {}
    for each in texts.values():
        for word, count in zip(each.words, _sums(each.counts), strict=True):
            background[word] = background.get(word, 0.0) + float(count)
    total = sum(background.values())
    parts = []
    for each in texts.values():
        prior = np.array([background[word] for word in each.words]) * _PRIOR_WORDS / total
        chosen, rejected = each.totals()
        odds = _log_odds(chosen, prior) - _log_odds(rejected, prior)
        z = odds / np.sqrt(1 / (chosen + prior) + 1 / (rejected + prior))
        top = np.lexsort((np.array(each.words), -np.abs(z)))[:_TOP]
        part = {"source": each.source, "word": [each.words[index] for index in top], "log_odds": odds[top], "z": z[top]}
        parts.append(pd.DataFrame(part | {"n_chosen": chosen[top], "n_rejected": rejected[top]}))
    return pd.concat(parts, ignore_index=True)


def _log_odds(counts: Floats, prior: Floats) -> Floats:
    """Posterior log odds of each word; the total covers words of other sources too."""
    seen = counts + prior
    return np.asarray(np.log(seen) - np.log(counts.sum() + _PRIOR_WORDS - seen))


def _lengths(column: pd.Series) -> Floats:
    return np.array([len(text.split()) for text in column], dtype=np.float64)


def _sums(counts: csr_matrix) -> Floats:
    return np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
