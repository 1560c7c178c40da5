"""How well a linear classifier tells from which of two sources a prompt, or a response, comes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from scipy.stats import rankdata
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from more_repro.data.diversity import keyed_random
from more_repro.data.diversity.bag_of_words import WORD
from more_repro.data.diversity.keyed_random import Flags, Keys
from more_repro.records import prompt_from_json
from more_repro.stats.clustered import share_interval
from more_repro.stats.intervals import NAN, Floats, Interval

N_FOLDS = 3
_FEATURES = 2**15
_PENALTY = 10.0  # C of the L2 penalty; rows have length 1, so weights must be large to matter


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt and one response for each of m prompts of a source, as bags of hashed words (m, features)."""

    source: str
    keys: Keys
    prompts: csr_matrix
    responses: csr_matrix


def draw_sample(source: str, pairs: pd.DataFrame, most: int, seed: int) -> Sample:
    """A Sample of at most `most` prompts of a table `pairs`; the response is the chosen or the rejected one by lot."""
    ids = pairs["prompt_id"].drop_duplicates()
    keys = keyed_random.prompt_keys(ids)
    kept = np.sort(keyed_random.order(keys, seed, "told apart")[:most])
    rows, keys = pairs.loc[ids.index[kept]], keys[kept]
    first = keyed_random.uniforms(keys, seed, "side", 1)[0] < 0.5
    prompts = ["\n".join(message.content for message in prompt_from_json(text)) for text in rows["prompt"]]
    responses = list(np.where(first, rows["chosen"].to_numpy(dtype=object), rows["rejected"].to_numpy(dtype=object)))
    return Sample(source, keys, _bags(prompts), _bags(responses))


def auc_of_sources(a: Sample, b: Sample, what: str, seed: int, confidence: float) -> tuple[Interval, int]:
    """Cross-validated AUC of telling a from b by their `what` (prompts or responses), and the number of texts.

    One half is chance. With a and b the same source, two random halves of its prompts are told apart instead.
    """
    if a.source == b.source:
        side = keyed_random.uniforms(a.keys, seed, "self", 1)[0] < 0.5
        return _auc(getattr(a, what), side, a.keys, seed, confidence)
    texts = csr_matrix(vstack([getattr(a, what), getattr(b, what)]))
    side = np.arange(texts.shape[0]) < len(a.keys)
    return _auc(texts, side, np.concatenate([a.keys, b.keys]), seed, confidence)


def _auc(texts: csr_matrix, side: Flags, keys: Keys, seed: int, confidence: float) -> tuple[Interval, int]:
    fold = (keyed_random.uniforms(keys, seed, "folds", 1)[0] * N_FOLDS).astype(np.int64)
    texts = texts[:, np.unique(texts.indices)]
    scores = np.full(len(keys), np.nan)
    for number in range(N_FOLDS):
        train, test = fold != number, fold == number
        if len(np.unique(side[train])) == 2 and test.any():
            # The intercept and the balanced classes leave the larger source no advantage.
            model = LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=500, tol=1e-3)
            scores[test] = model.fit(texts[train], side[train]).decision_function(texts[test])
    return auc_interval(scores, side, fold, keys, confidence), len(keys)


def auc_interval(scores: Floats, side: Flags, fold: NDArray[np.int64], keys: Keys, confidence: float) -> Interval:
    """Mean over folds of the AUC of scores (m,), clustered by key; folds without both sides are left out.

    A text's influence is its placement among the texts of the other side (DeLong, DeLong and Clarke-Pearson 1988).
    Models of folds share training texts, for which Nadeau and Bengio (2003) raise the variance by 1 + J n_test/n_train
    with J folds. AUC is a share, so the interval is Wilson's at the effective number of texts.
    """
    influence, found = np.zeros(len(scores)), []
    for number in np.unique(fold):
        inside = fold == number
        first, second = inside & side, inside & ~side
        if not first.any() or not second.any() or np.isnan(scores[inside]).any():
            continue
        for these, those, sign in ((first, second, 1.0), (second, first, -1.0)):
            place = _placements(sign * scores[these], sign * scores[those])
            influence[these] = (place - place.mean()) / len(place)
        found.append(float(place.mean()))
    if not found:
        return Interval(NAN)
    _, clusters = np.unique(keys, return_inverse=True)
    sums = np.bincount(clusters, weights=influence / len(found))
    smaller = min(len(np.unique(keys[side])), len(np.unique(keys[~side])))
    variance = float((sums**2).sum()) * (1 + N_FOLDS / (N_FOLDS - 1))
    return share_interval(float(np.mean(found)), variance, len(scores), smaller, confidence)


def _placements(these: Floats, those: Floats) -> Floats:
    """For each of these, the share of those below it, ties half."""
    ranks = rankdata(np.concatenate([these, those]))[: len(these)]
    return np.asarray((ranks - rankdata(these)) / len(those))


def _bags(texts: list[str]) -> csr_matrix:
    """log1p counts of hashed words, each row of length 1: how long a text is has no say."""
    hashed = HashingVectorizer(n_features=_FEATURES, token_pattern=WORD, alternate_sign=False, norm=None)
    return csr_matrix(normalize(hashed.transform(texts).log1p()))
