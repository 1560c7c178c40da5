"""Accuracy of a reward model on pairs, with an interval that treats pairs of one prompt as one draw."""

import numpy as np

from more_repro.stats.clustered import effective_number, n_clusters, variance_of_mean
from more_repro.stats.intervals import Codes, Interval, Vector, normal_quantile, wilson


def correctness(margins: Vector) -> Vector:
    """1 where chosen is rewarded more, 0 where less, a tie is half. (n,) -> (n,)"""
    return 0.5 * (np.sign(margins) + 1.0)


def accuracy_interval(margins: Vector, prompts: Codes, confidence: float) -> Interval:
    """Share of pairs ordered rightly. margins (n,), prompts (n,).

    Wilson's interval at the effective n that gives the variance clustered by prompt: it needs no draws, stays in
    [0, 1], and does not collapse where every pair is right. The quantile is the normal's, as test sets have many
    prompts.
    """
    if margins.size == 0:
        raise ValueError("accuracy: no pairs, expected at least one")
    right = correctness(margins)
    share = float(right.mean())
    n = effective_number(share, variance_of_mean(right, prompts), right.size, n_clusters(prompts))
    low, high = wilson(share, n, normal_quantile(confidence))
    return Interval(share, low, high, n=margins.size)
