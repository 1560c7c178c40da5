"""The tables "metrics" and "reliability": one pass over the reward models, one null draw per model and source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from more_repro import tables
from more_repro.evaluation import ece, slope
from more_repro.evaluation.accuracy import accuracy_interval
from more_repro.evaluation.intervals import NAN
from more_repro.evaluation.randomness import generator
from more_repro.evaluation.scored import Pairs, ScoredModel, pooled, scored_models, test_sources
from more_repro.params import Stats
from more_repro.progress import Progress
from more_repro.records import RewardModelId

Row = dict[str, Any]
LENGTH = "length"  # its "reward" counts words: it orders pairs and claims no probability
_CALIBRATION = [name for name, kind in tables.SCHEMAS["metrics"].items() if kind == "float?"]


def metrics_table(
    scores: pd.DataFrame, truth: pd.DataFrame | None, stats: Stats, align_sources: Sequence[str]
) -> pd.DataFrame:
    """Table "metrics": every model on every test source, on "align" (align_sources pooled) and on "all".

    Pools only for models scored on all their sources. Temperature: one per model, fitted on its validation pairs of
    all sources. Raises ValueError as `scored_models` does.
    """
    return calibration_tables(scored_models(scores, truth), stats, align_sources)[0]


def reliability_table(scores: pd.DataFrame, stats: Stats, align_sources: Sequence[str]) -> pd.DataFrame:
    """Table "reliability": bins that have pairs, with the band of a calibrated model. No row for the length rule."""
    return calibration_tables(scored_models(scores), stats, align_sources)[1]


def calibration_tables(
    models: Sequence[ScoredModel], stats: Stats, align_sources: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables "metrics" and "reliability" in one pass."""
    sources = test_sources(models)
    metrics: list[Row] = []
    bins: list[Row] = []
    progress = Progress("calibration", len(models), unit="models")
    for entry in models:
        names = {source: (source,) for source in entry.test} | entry.pools(align_sources, sources)
        gaps = {source: _null(entry.model, source, pairs, stats) for source, pairs in entry.test.items()}
        heat = slope.temperature(np.concatenate(list(entry.validation.values()) or [np.empty(0)]))
        for name, parts in names.items():
            pairs = pooled([entry.test[part] for part in parts])
            null = np.sum([gaps[part] for part in parts], axis=0)
            key = _key(entry.model, name)
            metrics.append(key | _metrics_row(entry.model, pairs, null, heat, stats))
            if entry.model.scheme != LENGTH:
                bins.extend(key | row for row in _reliability_rows(pairs, null, stats))
        progress.step()
    reliability = tables.check(pd.DataFrame(bins), "reliability") if bins else tables.empty("reliability")
    return tables.check(pd.DataFrame(metrics), "metrics"), reliability


def _null(model: RewardModelId, source: str, pairs: Pairs, stats: Stats) -> NDArray[np.float64]:
    if model.scheme == LENGTH:
        return np.zeros((1, stats.bins))
    # Named by model and source: a band does not depend on which other models stand in the table.
    return ece.null_gaps(pairs.margins, stats.bins, stats.null_draws, generator(stats.seed, model, source))


def _key(model: RewardModelId, source: str) -> Row:
    return {
        "base": model.base, "regime": model.regime, "scheme": model.scheme, "trained_on": model.trained_on,
        "seed": model.seed, "source": source,
    }  # fmt: skip


def _metrics_row(model: RewardModelId, pairs: Pairs, null: NDArray[np.float64], heat: float, stats: Stats) -> Row:
    margins = pairs.margins
    share = accuracy_interval(margins, pairs.prompts, stats.confidence)
    row: Row = {
        "n_pairs": margins.size,
        "n_prompts": np.unique(pairs.prompts).size,
        "n_margin_ties": int((margins == 0).sum()),
        "accuracy": share.estimate,
        "accuracy_low": share.low,
        "accuracy_high": share.high,
        "mean_abs_margin": float(np.abs(margins).mean()),
    }
    if model.scheme == LENGTH:
        return row | dict.fromkeys(_CALIBRATION, NAN)
    return row | _errors(pairs, null, stats) | _scores(pairs, heat, share.estimate, stats)


def _errors(pairs: Pairs, null: NDArray[np.float64], stats: Stats) -> Row:
    folded = ece.fold(pairs.margins, stats.bins)
    error = ece.ece(folded)
    band = ece.null_ece(null, pairs.margins.size)
    low, high = np.quantile(band, _tails(stats))
    mass, l2 = ece.equal_mass(pairs.margins, stats.bins)
    return {
        "ece": error,
        "ece_null_mean": float(band.mean()),
        "ece_null_low": float(low),
        "ece_null_high": float(high),
        "ece_excess": error - float(band.mean()),
        "mce": ece.mce(folded),
        "ece_equal_mass": mass,
        "l2_debiased": l2,
        "ece_true": ece.ece_true(pairs.margins, pairs.true_preference, stats.bins),
    }


def _scores(pairs: Pairs, heat: float, accuracy: float, stats: Stats) -> Row:
    margins = pairs.margins
    fitted = slope.slope_interval(margins, pairs.prompts, stats.confidence)
    known = not np.isnan(heat)
    return {
        "slope": fitted.estimate,
        "slope_low": fitted.low,
        "slope_high": fitted.high,
        "brier": slope.brier(margins),
        "log_loss": slope.log_loss(margins),
        "overconfidence": float(expit(np.abs(margins)).mean()) - accuracy,
        "temperature": heat,
        "ece_after_temperature": ece.ece_of(margins / heat, stats.bins) if known else NAN,
        "log_loss_after_temperature": slope.log_loss(margins / heat) if known else NAN,
        "pairwise_drift": slope.pairwise_drift(margins, pairs.shared_margin),
    }


def _reliability_rows(pairs: Pairs, null: NDArray[np.float64], stats: Stats) -> list[Row]:
    folded = ece.fold(pairs.margins, stats.bins)
    edges = np.linspace(0.0, 1.0, stats.bins + 1)
    low, high = np.quantile(null, _tails(stats), axis=0)
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


def _tails(stats: Stats) -> tuple[float, float]:
    return (1 - stats.confidence) / 2, (1 + stats.confidence) / 2
