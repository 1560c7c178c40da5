"""Bins of the reliability diagrams, with the band of a calibrated model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from more_repro.evaluation.metrics import ece
from more_repro.evaluation.metrics.scored_models import Pairs
from more_repro.params import Stats
from more_repro.stats.bootstrap import percentile_interval

Row = dict[str, Any]


def reliability_rows(pairs: Pairs, null: NDArray[np.float64], stats: Stats) -> list[Row]:
    """A row per bin that has pairs. null: gaps of the null draws (draws, M)."""
    folded = ece.fold(pairs.margins, stats.bins)
    edges = np.linspace(0.0, 1.0, stats.bins + 1)
    low, high = percentile_interval(null, stats.confidence)
    rows = []
    for number in np.flatnonzero(folded.n_pairs):
        n = int(folded.n_pairs[number])
        confidence = folded.confidence[number] / n
        rows.append(
            {
                "bin_low": edges[number],
                "bin_high": edges[number + 1],
                "n_pairs": n,
                "mean_confidence": confidence,
                "accuracy": folded.correct[number] / n,
                "null_low": confidence + low[number] / n,
                "null_high": confidence + high[number] / n,
            }
        )
    return rows
