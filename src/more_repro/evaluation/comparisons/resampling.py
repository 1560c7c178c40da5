"""Redraws of many reward models on the same pairs at once: sums over prompts, times one matrix of weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from more_repro.evaluation.metrics.accuracy import correctness
from more_repro.evaluation.metrics.calibration_slope import log_loss, slope
from more_repro.evaluation.metrics.ece import bin_of
from more_repro.evaluation.metrics.scored_models import Pairs
from more_repro.params import Stats
from more_repro.stats.intervals import NAN, Codes, Vector

Matrix = NDArray[np.float64]
_CHUNK = 1 << 22  # weights held at once; the numbers do not depend on it


@dataclass(frozen=True, slots=True)
class Pool:
    """The same pairs under several models.

    margins: one array (n,) per model. prompts: (n,), 0..G-1. metrics: each metric (models,), NaN where undefined.
    """

    margins: tuple[Vector, ...]
    prompts: Codes
    slopes: Vector
    metrics: dict[str, Vector]

    @classmethod
    def of(cls, named: Sequence[tuple[str, Pairs]]) -> "Pool":
        """Raises ValueError naming two models whose pairs differ."""
        first_name, first = named[0]
        for name, pairs in named[1:]:
            if not np.array_equal(first.ids, pairs.ids):
                raise ValueError(f"scores: {first_name} and {name} were not scored on the same test pairs")
        margins = tuple(pairs.margins for _, pairs in named)
        slopes = np.array([slope(one) for one in margins])
        metrics = {
            "accuracy": np.array([correctness(one).mean() for one in margins]),
            "log_loss": np.array([log_loss(one).mean() for one in margins]),
            "log_slope": _log(slopes),
        }
        codes = np.unique(first.prompts, return_inverse=True)[1].astype(np.int64)
        return cls(margins, codes, slopes, metrics)

    @property
    def n_pairs(self) -> int:
        return self.prompts.size

    @property
    def n_prompts(self) -> int:
        return int(self.prompts.max()) + 1

    def by_prompt(self, values: Vector) -> Vector:
        """Sums of values (n,) over the pairs of each prompt (G,)."""
        return np.bincount(self.prompts, weights=values, minlength=self.n_prompts).astype(np.float64)


def bootstrap_draws(pool: Pool, draws: int, rng: np.random.Generator) -> dict[str, Matrix]:
    """accuracy, log_loss, log_slope of every model (draws, models) on prompts drawn with replacement.

    All models share the draws. The slope of a draw is one step from the model's own: its equation, sum w m sigmoid(-bm)
    = 0, expanded to second order: of 600 pairs, within 5 % of the spread of refits in the worst draw.
    """
    columns = [pool.by_prompt(np.ones(pool.n_pairs))]
    for margins, b in zip(pool.margins, pool.slopes, strict=True):
        miss = expit(-b * margins) if np.isfinite(b) else np.zeros(pool.n_pairs)
        curve = miss * (1 - miss)
        parts = (correctness(margins), log_loss(margins), margins * miss, margins**2 * curve)
        columns += [pool.by_prompt(part) for part in (*parts, margins**3 * curve * (1 - 2 * miss))]
    sums = _weighted(np.stack(columns, axis=1), draws, rng)
    n, rest = sums[:, :1], sums[:, 1:].reshape(draws, len(pool.margins), 5)
    right, loss, gradient, curvature, bend = np.moveaxis(rest, 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = gradient / curvature
        moved = pool.slopes + step + bend * step**2 / (2 * curvature)
    return {"accuracy": right / n, "log_loss": loss / n, "log_slope": _log(moved)}


def _weighted(columns: Matrix, draws: int, rng: np.random.Generator) -> Matrix:
    """Sums (draws, columns) over G prompts (G, columns) drawn with replacement."""
    size = len(columns)
    out = np.empty((draws, columns.shape[1]))
    step = max(1, _CHUNK // size)
    for first in range(0, draws, step):
        last = min(first + step, draws)
        drawn = rng.integers(0, size, (last - first, size)) + size * np.arange(last - first)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * (last - first)).reshape(-1, size)
        out[first:last] = weights.astype(np.float64) @ columns
    return out


def swap_draws(pool: Pool, pairs: Sequence[tuple[int, int]], stats: Stats, rng: np.random.Generator) -> Matrix:
    """ECE of a less ECE of b (draws, len(pairs)) after each prompt's margins were swapped with probability one half.

    The null that it stands for: the two models are exchangeable. All pairs of models share the swapped prompts, so a
    mean over seeds keeps what the seeds have in common.
    """
    used = np.arange(stats.bins // 2, stats.bins)  # folded confidence is one half at least
    gaps = [_gaps(pool, margins, stats.bins)[:, used] for margins in pool.margins]
    moves = np.concatenate([gaps[b] - gaps[a] for a, b in pairs], axis=1)
    start = np.stack([np.stack([gaps[a].sum(axis=0), gaps[b].sum(axis=0)]) for a, b in pairs])
    out = np.empty((stats.null_draws, len(pairs)))
    step = max(1, _CHUNK // pool.n_prompts)
    for first in range(0, stats.null_draws, step):
        last = min(first + step, stats.null_draws)
        swapped = rng.integers(0, 2, (last - first, pool.n_prompts), dtype=np.int8).astype(np.float64)
        moved = (swapped @ moves).reshape(last - first, len(pairs), used.size)
        errors = np.abs(start[:, 0] + moved).sum(axis=2) - np.abs(start[:, 1] - moved).sum(axis=2)
        out[first:last] = errors / pool.n_pairs
    return out


def _gaps(pool: Pool, margins: Vector, n_bins: int) -> Matrix:
    """Correct minus confidence, summed by prompt and bin (G, M)."""
    confidence = expit(np.abs(margins))
    codes = pool.prompts * n_bins + bin_of(confidence, n_bins)
    sums = np.bincount(codes, weights=correctness(margins) - confidence, minlength=pool.n_prompts * n_bins)
    return sums.reshape(pool.n_prompts, n_bins).astype(np.float64)


def _log(slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slopes > 0, np.log(np.where(slopes > 0, slopes, 1.0)), NAN)
