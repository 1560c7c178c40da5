"""Bradley-Terry ranking of policies from their comparisons, with intervals over prompts."""

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from more_repro import tables
from more_repro.alignment.judging.win_rates import by_source
from more_repro.params import Stats
from more_repro.schemes import ALL
from more_repro.stats.bootstrap import percentile_interval, resample_counts

# Every policy also draws this much of a game with one of strength 0, in the estimate and in each resample: strengths
# are then finite where a policy never lost or never won. Against the games of a study it weighs next to nothing.
PRIOR_GAMES = 1.0
_LONGEST_STEP = 2.0  # logits; a Newton step from afar would overshoot
_STEPS = 200
_CLOSE = 1e-13  # Newton's decrement: squared distance from the most likely strengths in standard errors
_EQUAL = 1e-7  # strengths that differ by less are of equal rank
_CHUNK = 64 * 2**20  # bytes of one batch of Hessians


def bradley_terry(keys: pd.DataFrame, prompts: pd.DataFrame, points: np.ndarray, stats: Stats) -> pd.DataFrame:
    """Strengths and ranks of P policies for "all" prompts and each source: the table "ranking".

    keys: [policy, base, regime, scheme, trained_on, seed], a row per policy. prompts: [prompt_id, source].
    points (prompts, P, P): of policy i against j: 1 win, 0.5 tie, 0 loss, NaN not played or invalid; one of (i, j) and
    (j, i) is enough, and where both stand they must sum to 1.
    strength: logits, mean 0 over policies; sigmoid of a difference is the share of points expected, a tie being half a
    win each. Rank 1 is the strongest; equal strengths share a rank. Intervals are a bootstrap over prompts, all games
    on a prompt together: they cover the choice of prompts alone, as those of win rates do, and a policy is one seed's.
    Raises ValueError where points are none of these, or where "all" comparisons do not connect the policies; a source
    whose comparisons do not connect them has no rows.
    """
    played = _checked(points, len(prompts), len(keys))
    parts = []
    for source, rows in by_source(prompts.reset_index(drop=True)):
        own = played[rows.index]
        apart = _apart((~np.isnan(own)).any(axis=0))
        if apart is None:
            parts.append(_rank(keys, own, stats).assign(source=source))
        elif source == ALL:
            first, second = (str(keys["policy"].iloc[place]) for place in apart)
            raise ValueError(
                f"no chain of valid comparisons leads from policy {first} to {second}: one ranking of both has no "
                "meaning"
            )
    return tables.check(pd.concat(parts, ignore_index=True), "ranking")


def strengths(points: np.ndarray, games: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Bradley-Terry strengths (D, P), mean 0, of D tables of points and games, both (D, P, P).

    points[d, i, j]: of i against j, fractions allowed; games[d, i, j] = points[d, i, j] + points[d, j, i].
    Most likely under the comparisons and PRIOR_GAMES draws of each policy with one of strength 0. start: (P,).
    Raises RuntimeError where Newton's method does not settle, which no table was found to bring about.
    """
    won = points.sum(axis=2) + PRIOR_GAMES / 2
    values = np.zeros(won.shape) if start is None else np.tile(start, (len(won), 1))
    diagonal = np.arange(won.shape[1])
    active = np.arange(len(won))
    for _ in range(_STEPS):
        now = values[active]
        share = expit(now[:, :, None] - now[:, None, :])
        own = expit(now)
        gradient = won[active] - (games[active] * share).sum(axis=2) - PRIOR_GAMES * own
        weight = games[active] * share * (1.0 - share)
        hessian = -weight
        hessian[:, diagonal, diagonal] += weight.sum(axis=2) + PRIOR_GAMES * own * (1.0 - own)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        longest = np.maximum(np.abs(step).max(axis=1), _LONGEST_STEP)
        values[active] = now + step * (_LONGEST_STEP / longest)[:, None]
        active = active[(gradient * step).sum(axis=1) > _CLOSE]
        if not len(active):
            return np.asarray(values - values.mean(axis=1, keepdims=True))
    raise RuntimeError(f"Bradley-Terry strengths of {len(active)} tables did not settle in {_STEPS} steps")


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each strength in its row, 1 the strongest; equal ones share the best rank. (D, P) -> (D, P)."""
    return np.asarray(1 + (values[:, None, :] > values[:, :, None] + _EQUAL).sum(axis=2))


def _rank(keys: pd.DataFrame, played: np.ndarray, stats: Stats) -> pd.DataFrame:
    """Rows of one set of prompts; played: (prompts, P, P) with both sides of every game."""
    n_prompts, n_policies, _ = played.shape
    valid = ~np.isnan(played)
    flat = np.nan_to_num(played).reshape(n_prompts, -1)
    games = valid.reshape(n_prompts, -1).astype(np.float64)

    def fit(counts: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        shape = (len(counts), n_policies, n_policies)
        return strengths((counts @ flat).reshape(shape), (counts @ games).reshape(shape), start)

    estimate = fit(np.ones((1, n_prompts)))
    counts = resample_counts(n_prompts, stats)
    size = max(1, _CHUNK // (8 * n_policies**2))
    draws = np.concatenate([fit(counts[first : first + size], estimate[0]) for first in range(0, len(counts), size)])
    low, high = percentile_interval(draws, stats.confidence)
    best, worst = percentile_interval(ranks(draws).astype(np.float64), stats.confidence)
    return keys.assign(
        strength=estimate[0], strength_low=low, strength_high=high, rank=ranks(estimate)[0],
        rank_low=np.floor(best), rank_high=np.ceil(worst), n_opponents=valid.any(axis=0).sum(axis=1),
        n_prompts=valid.any(axis=2).sum(axis=0),
    )  # fmt: skip


def _checked(points: np.ndarray, n_prompts: int, n_policies: int) -> np.ndarray:
    """Points with both sides of every game and none of a policy against itself."""
    values = np.array(points, dtype=np.float64)
    if values.shape != (n_prompts, n_policies, n_policies):
        raise ValueError(f"points have shape {values.shape}, expected {(n_prompts, n_policies, n_policies)}")
    values[:, np.arange(n_policies), np.arange(n_policies)] = np.nan
    bad = ~(np.isnan(values) | np.isin(values, (0.0, 0.5, 1.0)))
    other = 1.0 - values.transpose(0, 2, 1)
    bad |= ~np.isnan(values) & ~np.isnan(other) & (values != other)
    if bad.any():
        prompt, first, second = np.argwhere(bad)[0]
        raise ValueError(
            f"prompt {prompt}, policy {first} against {second}: points {values[prompt, first, second]} and "
            f"{values[prompt, second, first]} the other way; expected 1, 0.5, 0 or NaN, and 1 in all"
        )
    return np.where(np.isnan(values), other, values)


def _apart(met: np.ndarray) -> tuple[int, int] | None:
    """Two policies that no chain of comparisons connects, if there are any; met: (P, P) of booleans."""
    n_groups, group = connected_components(met, directed=False)
    return None if n_groups == 1 else (0, int(np.argmax(group != group[0])))
