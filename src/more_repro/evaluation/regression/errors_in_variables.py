"""Errors in variables: a coefficient of ECE corrected for the noise of the test pairs."""

import numpy as np

from more_repro.evaluation.regression.fixed_effects import Within, full_rank, undetermined, unexplained
from more_repro.stats.intervals import NAN, Interval, Vector, t_interval


def corrected(data: Within, noise: Vector, term: int, confidence: float) -> tuple[Interval, str]:
    """Fixed-effects slope of one noisy term divided by its reliability, and a note that states the reliability.

    noise (n,): variance of each row's measurement error of the term; the controls are taken as exact. Reliability:
    share of the term's spread, given groups and controls, that is not noise. All models share their test pairs, so
    part of the noise is common to them and cancels within groups: with the noise of each row alone the correction tends
    to be too large. Interval:
    delete-one-row jackknife, t on the model's df. Undetermined where noise explains the spread.
    """
    slope, reliability = _slope(data, noise, term)
    note = f"reliability of ECE {reliability:.2f}"
    if not reliability > 0:
        return undetermined(data.y.size), f"{note}: its spread is no larger than its noise"
    without = np.array([_without(data, noise, term, row) for row in range(data.y.size)])
    if np.isnan(without).any() or data.df <= 0:
        return Interval(slope, n=data.y.size), f"{note}; no interval: undetermined without some model"
    spread = float(np.square(without - without.mean()).sum()) * (data.y.size - 1) / data.y.size
    return t_interval(slope, float(np.sqrt(spread)), data.df, confidence, data.y.size), note


def _without(data: Within, noise: Vector, term: int, row: int) -> float:
    """The corrected slope without one row; NaN where it is undetermined."""
    keep = np.arange(data.y.size) != row
    codes = np.unique(data.groups[keep], return_inverse=True)[1]
    counts = np.bincount(codes)
    # Values demeaned with the row are off by a constant within its group: demean again.
    y, *x = (v[keep] - (np.bincount(codes, v[keep]) / counts)[codes] for v in (data.y, *data.x.T))
    left = Within(y, np.column_stack(x), codes)
    if not full_rank(left.x):
        return NAN
    slope, reliability = _slope(left, noise[keep], term)
    return slope if reliability > 0 else NAN


def _slope(data: Within, noise: Vector, term: int) -> tuple[float, float]:
    """Corrected slope and reliability of the term; the slope is NaN where the reliability is not positive."""
    others = np.delete(data.x, term, axis=1)
    own = unexplained(data.x[:, term], others)
    size = float(own @ own)
    # A group mean takes 1 / n_g of a row's noise with it, a control its leverage.
    held = 1 / np.bincount(data.groups)[data.groups]
    if others.shape[1]:
        held = held + np.square(np.linalg.qr(others)[0]).sum(axis=1)
    signal = size - float(noise @ np.maximum(1 - held, 0.0))
    return (float(own @ data.y) / signal if signal > 0 else NAN), signal / size
