"""Accuracy of a reward model on pairs, with an interval that treats pairs of one prompt as one draw."""

import numpy as np

from more_repro.stats.clustered import n_clusters, variance_of_sum
from more_repro.stats.intervals import Codes, Interval, Vector, normal_quantile, t_interval, wilson


def correctness(margins: Vector) -> Vector:
    """1 where chosen is rewarded more, 0 where less, a tie is half. (n,) -> (n,)"""
    return 0.5 * (np.sign(margins) + 1.0)


def accuracy_interval(margins: Vector, prompts: Codes, confidence: float) -> Interval:
    """Share of pairs ordered rightly. margins (n,), prompts (n,).

    Wilson's interval at the effective n that gives the variance clustered by prompt: it needs no draws, stays in
    [0, 1], and does not collapse where every pair is right. The effective n is at most the number of pairs.
    """
    if margins.size == 0:
        raise ValueError("accuracy: no pairs, expected at least one")
    right = correctness(margins)
    share = float(right.mean())
    low, high = wilson(share, _effective_pairs(right, prompts), normal_quantile(confidence))
    return Interval(share, low, high, n=margins.size)


def clustered_mean(values: Vector, prompts: Codes, confidence: float) -> Interval:
    """Mean of values (n,) with a t interval whose error is clustered by prompt. One prompt: no limits."""
    mean = float(values.mean())
    error = np.sqrt(variance_of_sum(values - mean, prompts)) / values.size
    return t_interval(mean, float(error), n_clusters(prompts) - 1, confidence, values.size)


def _effective_pairs(right: Vector, prompts: Codes) -> float:
    share = right.mean()
    variance = variance_of_sum(right - share, prompts) / right.size**2
    n_prompts = n_clusters(prompts)
    if not variance > 0:
        return float(n_prompts)
    return float(np.clip(share * (1 - share) / variance, 1.0, right.size))
