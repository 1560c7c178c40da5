"""Distributions of margins: boxes, histograms, and the outliers of the paper's Tables 4-6."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.metrics.ece import ece_of
from more_repro.evaluation.metrics.scored_models import ScoredModel, test_sources
from more_repro.params import Stats
from more_repro.records import MODEL_KEY
from more_repro.schemes import LENGTH
from more_repro.stats.intervals import NAN, Vector

Row = dict[str, Any]
WHISKER = 1.5  # interquartile ranges


def shown(models: Sequence[ScoredModel], trained_on: Sequence[str]) -> list[ScoredModel]:
    """The models trained on one of `trained_on` ("mixture", source names, "none" for raw heads); no length rule."""
    return [entry for entry in models if entry.model.trained_on in trained_on and entry.model.scheme != LENGTH]


def margin_boxes(models: Sequence[ScoredModel], trained_on: Sequence[str]) -> pd.DataFrame:
    """Table "margin_boxes": box statistics per model and test source, correctly and wrongly ordered pairs apart.

    ordering: "correct" (margin > 0) or "wrong" (margin < 0); a tie is in neither, an empty part has no row.
    Whiskers end at the last margin within 1.5 interquartile ranges of the box.
    """
    rows: list[Row] = []
    for entry in shown(models, trained_on):
        for source, pairs in entry.test.items():
            parts = {"correct": pairs.margins[pairs.margins > 0], "wrong": pairs.margins[pairs.margins < 0]}
            for ordering, margins in parts.items():
                if margins.size:
                    rows.append(_key(entry, source) | {"ordering": ordering} | box(margins))
    return _table(rows, "margin_boxes")


def box(margins: Vector) -> Row:
    """Box statistics of margins (n,), n > 0."""
    q1, median, q3 = np.quantile(margins, (0.25, 0.5, 0.75))
    low, high = _fences(margins)
    inside = margins[(margins >= low) & (margins <= high)]
    return {
        "n_pairs": margins.size,
        "mean": float(margins.mean()),
        "whisker_low": min(float(inside.min()), float(q1)),
        "q1": float(q1),
        "median": float(median),
        "q3": float(q3),
        "whisker_high": max(float(inside.max()), float(q3)),
    }


def margin_histogram(models: Sequence[ScoredModel], trained_on: Sequence[str], n_bins: int = 50) -> pd.DataFrame:
    """Table "margin_histogram": counts and densities, with bins common to all shown models of a base on a source.

    Bins are of equal width from the smallest to the largest margin; empty bins have rows, so that lines reach zero.
    """
    chosen = shown(models, trained_on)
    rows: list[Row] = []
    for base in sorted({entry.model.base for entry in chosen}):
        of_base = [entry for entry in chosen if entry.model.base == base]
        for source in test_sources(of_base):
            tested = [entry for entry in of_base if source in entry.test]
            together = np.concatenate([entry.test[source].margins for entry in tested])
            edges = np.histogram_bin_edges(together, bins=n_bins)
            for entry in tested:
                rows.extend(_histogram_rows(entry, source, edges))
    return _table(rows, "margin_histogram")


def _histogram_rows(entry: ScoredModel, source: str, edges: Vector) -> list[Row]:
    counts = np.histogram(entry.test[source].margins, edges)[0]
    density = counts / counts.sum() / np.diff(edges)
    return [
        _key(entry, source) | {"bin_low": low, "bin_high": high, "n_pairs": int(count), "density": height}
        for low, high, count, height in zip(edges[:-1], edges[1:], counts, density, strict=True)
    ]


def outliers(models: Sequence[ScoredModel], trained_on: Sequence[str], stats: Stats) -> pd.DataFrame:
    """Table "outliers" (paper, Tables 4-6): margins beyond 1.5 interquartile ranges of the box of all margins.

    Means are NaN where there is no outlier.
    """
    rows: list[Row] = []
    for entry in shown(models, trained_on):
        for source, pairs in entry.test.items():
            low, high = _fences(pairs.margins)
            above, below = pairs.margins[pairs.margins > high], pairs.margins[pairs.margins < low]
            rows.append(
                _key(entry, source)
                | {
                    "n_pairs": pairs.margins.size,
                    "positive_count": above.size,
                    "positive_mean": float(above.mean()) if above.size else NAN,
                    "negative_count": below.size,
                    "negative_mean": float(below.mean()) if below.size else NAN,
                    "ece": ece_of(pairs.margins, stats.bins),
                }
            )
    return _table(rows, "outliers")


def _fences(margins: Vector) -> tuple[float, float]:
    q1, q3 = np.quantile(margins, (0.25, 0.75))
    reach = WHISKER * (q3 - q1)
    return float(q1 - reach), float(q3 + reach)


def _key(entry: ScoredModel, source: str) -> Row:
    return {name: getattr(entry.model, name) for name in MODEL_KEY} | {"source": source}


def _table(rows: list[Row], name: str) -> pd.DataFrame:
    return tables.check(pd.DataFrame(rows), name) if rows else tables.empty(name)
