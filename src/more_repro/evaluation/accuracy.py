"""Accuracy of a reward model on pairs, with an interval that treats pairs of one prompt as one draw."""

import numpy as np

from more_repro.evaluation.intervals import Codes, Interval, Vector, wilson


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
    low, high = wilson(share, _effective_pairs(right, prompts), confidence)
    return Interval(share, low, high, n=margins.size)


def clustered_variance(values: Vector, clusters: Codes) -> float:
    """Variance of the sum of values (n,), drawn by cluster, with the factor G / (G - 1). NaN for one cluster."""
    codes = np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(codes, weights=values)
    if sums.size < 2:
        return float("nan")
    return float(np.square(sums).sum() * sums.size / (sums.size - 1))


def _effective_pairs(right: Vector, prompts: Codes) -> float:
    share = right.mean()
    variance = clustered_variance(right - share, prompts) / right.size**2
    n_prompts = np.unique(prompts).size
    if not variance > 0:
        return float(n_prompts)
    return float(np.clip(share * (1 - share) / variance, 1.0, right.size))
