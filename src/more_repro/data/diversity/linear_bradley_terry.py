"""A linear Bradley-Terry model of each source: cheap enough to compare what sources prefer before any training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from more_repro.data.diversity import keyed_random
from more_repro.data.diversity.keyed_random import Keys
from more_repro.stats.clustered import clustered_share, n_clusters
from more_repro.stats.intervals import Codes, Floats
from more_repro.tables import SCHEMAS

# C of the L2 penalty, the same for every source. At 1 the weights of real texts are mostly noise (split-half cosine
# .02 to .16); at .01 the embedded world loses one to four points of accuracy on its own test pairs.
_PENALTY = 0.1


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Weights (d,), the weights (S, 2, d) of fits to the halves of S random splits of prompts, and draws.

    shifts: what R bootstrap samples of whole prompts add to the weights, (R, d).
    """

    weights: Floats
    halves: Floats
    shifts: Floats

    def margins(self, features: csr_matrix) -> Floats:
        """Margins (n,) of pairs with difference features (n, d)."""
        return np.asarray(features @ self.weights, dtype=np.float64)


def fit_weights(features: csr_matrix, start: Floats | None = None, share: float = 1.0) -> Floats:
    """Weights (d,) that maximise the penalised Bradley-Terry likelihood of difference features (n, d).

    start: weights to begin from. share: of all pairs that these are; the penalty is that of all of them, so that a
    half looks for the same weights as the whole.
    """
    # Every label is "chosen wins"; turning each second pair round gives two classes and the same likelihood.
    signs = np.where(np.arange(features.shape[0]) % 2 == 0, 1.0, -1.0)
    model = LogisticRegression(C=_PENALTY / share, fit_intercept=False, max_iter=2000, warm_start=start is not None)
    if start is not None:
        model.coef_, model.intercept_, model.classes_ = start[None, :].copy(), np.zeros(1), np.array([False, True])
    if features.shape[0] == 1:
        features, signs = csr_matrix(np.vstack([features.toarray(), -features.toarray()])), np.array([1.0, -1.0])
    flipped = features.multiply(signs[:, None]).tocsr()
    return np.asarray(model.fit(flipped, signs > 0).coef_[0], dtype=np.float64)


def fit(features: csr_matrix, prompts: Codes, keys: Keys, seed: int, n_splits: int, n_draws: int) -> LinearModel:
    """Fit to difference features (n, d), to the halves of n_splits splits, and bootstrap whole prompts n_draws times.

    A draw is one Newton step from the fit: exact to first order, for one factorisation of (d, d). prompts, keys: as in
    Texts. Splits and draws are keyed by prompt, so sources that share prompts share them.
    """
    weights = fit_weights(features)
    halves = np.empty((n_splits, 2, len(weights)))
    for split, first in enumerate(keyed_random.halves(keys, seed, n_splits)):
        for half, rows in enumerate((first[prompts], ~first[prompts])):
            halves[split, half] = _fit_part(features[rows], weights, float(rows.mean()))
    return LinearModel(weights, halves, _shifts(features, prompts, keys, seed, n_draws, weights))


def _fit_part(features: csr_matrix, weights: Floats, share: float) -> Floats:
    """Weights of a part of the pairs; NaN where the part is empty."""
    return fit_weights(features, weights, share) if features.shape[0] else np.full_like(weights, np.nan)


def _shifts(features: csr_matrix, prompts: Codes, keys: Keys, seed: int, n_draws: int, weights: Floats) -> Floats:
    wins = 1.0 / (1.0 + np.exp(-np.asarray(features @ weights)))
    curvature = features.multiply((wins * (1 - wins))[:, None]).tocsr()
    hessian = _PENALTY * np.asarray((features.T @ curvature).todense()) + np.eye(features.shape[1])
    groups = csr_matrix((1.0 - wins, (prompts, np.arange(len(prompts)))), shape=(len(keys), len(prompts)))
    scores = _PENALTY * (groups @ features)
    times = keyed_random.poisson_times(keys, seed, n_draws) - 1.0
    return np.asarray(cho_solve(cho_factor(hessian), np.asarray(scores.T @ times.T)).T)


def transfer(
    models: Mapping[str, LinearModel], test: Mapping[str, csr_matrix], prompts: Mapping[str, Codes], confidence: float
) -> pd.DataFrame:
    """Table `transfer`: accuracy of every source's model on the test pairs (n, d) of every source.

    Intervals are clustered by prompt and hold the choice of test pairs alone: the fitted models are taken as given.
    """
    rows = []
    for trained_on, model in models.items():
        for tested_on, features in test.items():
            hits, clusters = right(model.margins(features)), prompts[tested_on]
            share = clustered_share(hits, clusters, confidence)
            rows.append((trained_on, tested_on, *share.values(), len(hits), n_clusters(clusters)))
    return pd.DataFrame(rows, columns=list(SCHEMAS["transfer"]))


def right(margins: Floats) -> Floats:
    """1 where a pair is ordered right, 0 where wrong, 0.5 where the margin is 0."""
    return np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))


def same_side(first: Floats, second: Floats) -> Floats:
    """1 where two margins choose the same side (or neither chooses), 0 where they differ, 0.5 where one is 0."""
    product = np.sign(first) * np.sign(second)
    return np.where((first == 0) & (second == 0), 1.0, (product + 1.0) / 2.0)


def cosine(first: Floats, second: Floats) -> Floats:
    """Cosine of vectors (..., d); 0 where one has no length."""
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray((first * second).sum(axis=-1) / np.where(lengths > 0, lengths, 1.0))
