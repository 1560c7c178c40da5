"""How alike the preferences of sources are: directions of their linear models, and choices on the same pairs.

Every measure compares a model of one half of a's prompts with a model of the other half of b's. So no two models share
a prompt, and the row (a, a) shows what the same source gives at this number of pairs: the ceiling that noise allows.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from more_repro.data.diversity import linear_bradley_terry
from more_repro.data.diversity.keyed_random import Flags
from more_repro.data.diversity.linear_bradley_terry import LinearModel
from more_repro.data.diversity.overlap import Line
from more_repro.stats.clustered import clustered_share, n_clusters, share_interval, variance_of_mean
from more_repro.stats.intervals import NAN, Codes, Floats, Interval, normal_interval

# A cosine is divided by its ceiling only where both ceilings are surely above this: below, the quotient is noise.
LOWEST_CEILING = 0.2
_DRAWS_OF_CHOICES = 40
# Weights already hold their own noise, and a whole draw would add it once more: cosines of noisier weights vary less.
# So a small part of each draw is added, and the change scaled up; choices, which jump, take a larger part.
_STEP, _STEP_OF_CHOICES = 0.05, 0.5


def directions(
    models: Mapping[str, LinearModel], test: Mapping[str, csr_matrix], n_pairs: Mapping[str, int], confidence: float
) -> Iterator[Line]:
    """Lines direction_cosine and direction_cosine_corrected of table `source_similarity`.

    Cosine of two models' margins over the test pairs of all sources, each source counting alike: of the weights, with
    every word counting for as much as it varies in texts. Corrected: over the geometric mean of the two ceilings, NaN
    where a ceiling's interval reaches below LOWEST_CEILING. Intervals are normal, from bootstrap samples of prompts.
    """
    metric = _metric(test)
    seen = {
        name: LinearModel(model.weights @ metric, model.halves @ metric, model.shifts @ metric)
        for name, model in models.items()
    }
    cosines = {(a, b): _cosines(seen[a], seen[b]) for a, b in product(seen, seen)}
    ceilings = {a: _interval(*cosines[a, a], confidence) for a in seen}
    for a, b in product(seen, seen):
        n = n_pairs[a] + (n_pairs[b] if a != b else 0)
        yield (a, b, "direction_cosine", *_interval(*cosines[a, b], confidence).values(), n)
        if a == b:
            continue
        sure = min(ceilings[a].low, ceilings[b].low) >= LOWEST_CEILING
        corrected = _corrected(cosines[a, b], cosines[a, a], cosines[b, b], confidence) if sure else Interval(NAN)
        yield (a, b, "direction_cosine_corrected", *corrected.values(), n)


def _metric(test: Mapping[str, csr_matrix]) -> Floats:
    """A square root (d, d) of the mean over sources of the features' second moments."""
    moments = sum(
        np.asarray((features.T @ features).todense()) / max(features.shape[0], 1) for features in test.values()
    )
    with threadpool_limits(1):  # sums over threads have other last bits
        sizes, axes = np.linalg.eigh(np.asarray(moments) / len(test))
    return np.asarray(axes * np.sqrt(np.maximum(sizes, 0.0)))


def choices(
    models: Mapping[str, LinearModel], test: Mapping[str, csr_matrix], prompts: Mapping[str, Codes], confidence: float
) -> Iterator[Line]:
    """Lines agreement and conflict of table `source_similarity`, on a's test pairs with difference features (n, d).

    conflict: of the pairs that both models order surely (margins in their larger half), the share that they order in
    opposite ways; one half where models have nothing to do with each other. n is the number of those pairs.
    """
    for a in models:
        margins = {b: _margins(models[b], test[a]) for b in models}
        for b in models:
            first, second = margins[a][0], margins[b][0][:, ::-1]
            noise = _noise(margins[a], margins[b])
            agreed = agreement(first, second, prompts[a], confidence, noise[0])
            opposed, n_sure = conflict(first, second, prompts[a], confidence, noise[1])
            yield (a, b, "agreement", *agreed.values(), first.shape[2])
            yield (a, b, "conflict", *opposed.values(), n_sure)


def agreement(first: Floats, second: Floats, prompts: Codes, confidence: float, noise: float = 0.0) -> Interval:
    """Share of pairs that two models order alike. Margins (..., n): comparisons of one pair are averaged.

    noise: variance that comes from the models and not from the pairs.
    """
    return clustered_share(_per_pair(linear_bradley_terry.same_side(first, second)), prompts, confidence, noise)


def conflict(
    first: Floats, second: Floats, prompts: Codes, confidence: float, noise: float = 0.0
) -> tuple[Interval, int]:
    """Share of opposite orders among pairs (..., n) that both order surely, and their mean number."""
    sure, opposed = _sure_and_opposed(first, second)
    weights, hits = _per_pair(sure), _per_pair(opposed)
    n = round(float(weights.sum()))
    if n == 0:
        return Interval(NAN), 0
    share = float(hits.sum() / weights.sum())
    residuals = (hits - share * weights) / weights.mean()
    clusters = n_clusters(prompts[weights > 0])
    return share_interval(share, variance_of_mean(residuals, prompts) + noise, n, clusters, confidence), n


def _cosines(a: LinearModel, b: LinearModel) -> tuple[float, Floats]:
    """Mean cosine of halves of a with the other halves of b, and the first-order change of it in each draw (R,).

    A draw shifts both halves alike, so the spread over draws is that of a new set of prompts.
    """
    first, second = a.halves, b.halves[:, ::-1]
    found = linear_bradley_terry.cosine(first, second)
    if np.isnan(found).any():
        return float("nan"), np.full(len(a.shifts), np.nan)
    moved_a, moved_b = a.shifts * _STEP, b.shifts * _STEP
    # Products of sums, so that no array of (R, S, 2, d) is made.
    product_ = (first * second).sum(axis=-1)[..., None] + first @ moved_b.T + second @ moved_a.T
    product_ = product_ + (moved_a * moved_b).sum(axis=1)
    lengths = np.sqrt(_squares(first, moved_a) * _squares(second, moved_b))
    moved = (product_ / np.where(lengths > 0, lengths, 1.0)).mean(axis=(0, 1))
    return float(found.mean()), (moved - found.mean()) / _STEP


def _squares(halves: Floats, shifts: Floats) -> Floats:
    """Squared lengths (S, 2, R) of halves plus shifts."""
    return np.asarray((halves**2).sum(axis=-1)[..., None] + 2 * halves @ shifts.T + (shifts**2).sum(axis=1))


def _interval(value: float, changes: Floats, confidence: float) -> Interval:
    return normal_interval(value, float(changes.std(ddof=1)), confidence).within(-1.0, 1.0)


def _corrected(
    between: tuple[float, Floats], a: tuple[float, Floats], b: tuple[float, Floats], confidence: float
) -> Interval:
    """The cosine over its ceiling; its interval may reach beyond 1, as the estimate may."""
    ceiling = (a[0] * b[0]) ** 0.5
    value = between[0] / ceiling
    changes = between[1] / ceiling - value / 2 * (a[1] / a[0] + b[1] / b[0])
    return normal_interval(value, float(changes.std(ddof=1)), confidence)


def _margins(model: LinearModel, features: csr_matrix) -> tuple[Floats, Floats]:
    """Margins (S, 2, n) of the halves, and what the first draws add to them (R, n)."""
    halves = np.asarray(features @ model.halves.reshape(-1, features.shape[1]).T).T.reshape(*model.halves.shape[:2], -1)
    return halves, np.asarray(features @ model.shifts[:_DRAWS_OF_CHOICES].T).T


def _noise(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> tuple[float, float]:
    """Variances of agreement and conflict over draws of the training prompts."""
    found = []
    for shift_a, shift_b in zip(a[1], b[1], strict=True):
        first, second = a[0] + _STEP_OF_CHOICES * shift_a, b[0][:, ::-1] + _STEP_OF_CHOICES * shift_b
        sure, opposed = _sure_and_opposed(first, second)
        found.append((linear_bradley_terry.same_side(first, second).mean(), opposed.sum() / max(sure.sum(), 1.0)))
    spread = np.var(np.array(found), axis=0, ddof=1) if len(found) > 1 else np.zeros(2)
    return float(spread[0]) / _STEP_OF_CHOICES**2, float(spread[1]) / _STEP_OF_CHOICES**2


def _sure_and_opposed(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    sure = _larger_half(first) & _larger_half(second)
    return sure.astype(np.float64), sure * (1.0 - linear_bradley_terry.same_side(first, second))


def _larger_half(margins: Floats) -> Flags:
    size = np.abs(margins)
    return np.asarray((size >= np.median(size, axis=-1, keepdims=True)) & (size > 0))


def _per_pair(values: Floats) -> Floats:
    return np.asarray(values.reshape(-1, values.shape[-1]).mean(axis=0))
