"""Corrections of p for how many hypotheses a family holds."""

import numpy as np
from numpy.typing import ArrayLike

from more_repro.stats.intervals import NAN, Vector


def holm(p_values: ArrayLike) -> Vector:
    """Holm's step-down adjusted p of one family (m,); NaN stays NaN and does not count in the family."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, NAN)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
