"""How alike sources are: directions of their linear models, words, prompts, and choices on the same pairs."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from more_repro.data import linear
from more_repro.data.intervals import Codes, Interval, clustered_share, plain, quantile
from more_repro.data.linear import LinearModel
from more_repro.data.words import Texts

_FREQUENT_WORDS = 1000
_COLUMNS = ["source_a", "source_b", "measure", "estimate", "low", "high", "n"]
Line = tuple[str, str, str, float, float, float, int]


def of_texts(train: Mapping[str, Texts]) -> pd.DataFrame:
    """vocabulary_jaccard (of each source's 1000 most frequent words) and prompt_overlap (share of a's prompts in b)."""
    frequent = {name: _frequent(texts) for name, texts in train.items()}
    lines: list[Line] = []
    for a, b in _ordered_pairs(train):
        union = frequent[a] | frequent[b]
        jaccard = len(frequent[a] & frequent[b]) / max(len(union), 1)
        lines.append((a, b, "vocabulary_jaccard", *plain(jaccard), len(union)))
        prompts = train[a].prompt_ids
        overlap = len(prompts & train[b].prompt_ids) / max(len(prompts), 1)
        lines.append((a, b, "prompt_overlap", *plain(overlap), len(prompts)))
    return pd.DataFrame(lines, columns=_COLUMNS)


def of_models(
    models: Mapping[str, LinearModel],
    train: Mapping[str, csr_matrix],
    train_prompts: Mapping[str, Codes],
    test: Mapping[str, csr_matrix],
    test_prompts: Mapping[str, Codes],
    confidence: float,
) -> pd.DataFrame:
    """direction_cosine, agreement (on a's test pairs), and split_half_cosine (a with itself).

    Estimation noise pulls every cosine to 0; split_half_cosine, of two fits to halves of a source's prompts, shows
    how far. train, test: difference features (n, d) of each source.
    """
    lines: list[Line] = []
    for a, b in _ordered_pairs(models):
        n_pairs = train[a].shape[0] + (train[b].shape[0] if a != b else 0)
        lines.append((a, b, "direction_cosine", *_direction(models[a], models[b], a == b, confidence), n_pairs))
        same = linear.same_side(models[a].margins(test[a]), models[b].margins(test[a]))
        lines.append((a, b, "agreement", *clustered_share(same, test_prompts[a], confidence), len(same)))
    for name, features in train.items():
        value = _split_half(features, train_prompts[name])
        lines.append((name, name, "split_half_cosine", *plain(value), features.shape[0]))
    return pd.DataFrame(lines, columns=_COLUMNS)


def _direction(a: LinearModel, b: LinearModel, same: bool, confidence: float) -> Interval:
    if same:
        return Interval(1.0, 1.0, 1.0)
    value = float(linear.cosine(a.weights, b.weights))
    # A percentile interval would be pulled to 0 by the noise that each draw adds; the spread of draws is not.
    half = quantile(confidence) * float(linear.cosine(a.draws, b.draws).std(ddof=1))
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def _split_half(features: csr_matrix, prompts: Codes) -> float:
    halves = [features[prompts % 2 == half] for half in (0, 1)]
    if min(half.shape[0] for half in halves) == 0:
        return float("nan")
    return float(linear.cosine(*(linear.fit_weights(half) for half in halves)))


def _frequent(texts: Texts) -> set[str]:
    chosen, rejected = texts.totals()
    order = np.lexsort((np.array(texts.words), -(chosen + rejected)))
    return {texts.words[index] for index in order[:_FREQUENT_WORDS]}


def _ordered_pairs(sources: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    return product(sources, sources)
