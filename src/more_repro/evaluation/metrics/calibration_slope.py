"""Calibration slope, temperature and proper scores of margins."""

import numpy as np
from scipy.special import expit

from more_repro.stats.clustered import variance_of_sum
from more_repro.stats.intervals import NAN, Codes, Interval, Vector, normal_interval

_STEPS = 200


def slope(margins: Vector) -> float:
    """The b that maximises sum log sigmoid(b margin), (n,); 1 = calibrated, below 1 = over-confident.

    NaN (undefined) where margins are not of both signs: the likelihood then has no maximum.
    """
    if not ((margins > 0).any() and (margins < 0).any()):
        return NAN
    scale = float(np.sqrt(np.square(margins / np.abs(margins).max()).mean()) * np.abs(margins).max())
    unit = margins / scale
    b, loss = 0.0, margins.size * float(np.log(2.0))
    for _ in range(_STEPS):
        miss = expit(-b * unit)
        gradient = float(unit @ miss)
        curvature = float(np.square(unit) @ (miss * (1 - miss)))
        if curvature <= 0:
            return NAN
        step = gradient / curvature
        # The loss is convex, but far from its minimum a full Newton step can overshoot.
        while (new := float(np.logaddexp(0.0, -(b + step) * unit).sum())) > loss * (1 + 1e-14) and abs(step) > 1e-15:
            step /= 2
        b, loss = b + step, new
        if abs(step) <= 1e-12 * max(1.0, abs(b)):
            return b / scale
    return NAN


def slope_interval(margins: Vector, prompts: Codes, confidence: float) -> Interval:
    """Slope with a Wald interval, its error clustered by prompt. margins (n,), prompts (n,). Undefined = NaN."""
    b = slope(margins)
    if np.isnan(b):
        return Interval(NAN, n=margins.size)
    miss = expit(-b * margins)
    information = float(np.square(margins) @ (miss * (1 - miss)))
    error = np.sqrt(variance_of_sum(margins * miss, prompts)) / information
    return normal_interval(b, float(error), confidence, margins.size)


def temperature(margins: Vector) -> float:
    """1 / slope; NaN where the slope is undefined or not positive (a model that orders no better than chance)."""
    b = slope(margins) if margins.size else NAN
    return 1.0 / b if b > 0 else NAN


def brier(margins: Vector) -> Vector:
    """(1 - p)^2 of each pair, p = sigmoid(margin): the same for both orders of a pair. (n,) -> (n,)"""
    return np.asarray(np.square(expit(-margins)), dtype=np.float64)


def log_loss(margins: Vector) -> Vector:
    """-log sigmoid(margin) of each pair, in nats. (n,) -> (n,)"""
    return np.asarray(np.logaddexp(0.0, -margins), dtype=np.float64)


def pairwise_drift(margins: Vector, shared_margin: Vector) -> float:
    """sqrt(1 - cos^2) between margins and shared margins (n,): 0 = the shared reward up to scale. NaN if unknown."""
    if np.isnan(shared_margin).any():
        return NAN
    lengths = float(np.linalg.norm(margins) * np.linalg.norm(shared_margin))
    if lengths == 0:
        return NAN
    cosine = float(margins @ shared_margin) / lengths
    return float(np.sqrt(max(0.0, 1 - cosine**2)))
