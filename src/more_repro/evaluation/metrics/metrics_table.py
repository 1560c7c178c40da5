"""The tables "metrics" and "reliability": one pass over the reward models, one null draw per model and source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from more_repro import tables
from more_repro.evaluation.metrics import calibration_slope, ece
from more_repro.evaluation.metrics.accuracy import accuracy_interval
from more_repro.evaluation.metrics.clustered_null import spread_by_prompt
from more_repro.evaluation.metrics.reliability import reliability_rows
from more_repro.evaluation.metrics.scored_models import Pairs, ScoredModel, pooled, scored_models, test_sources
from more_repro.params import Stats
from more_repro.progress import Progress
from more_repro.records import RewardModelId
from more_repro.schemes import LENGTH
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval
from more_repro.stats.clustered import clustered_mean, n_clusters
from more_repro.stats.intervals import NAN, Vector
from more_repro.stats.random import generator

Row = dict[str, Any]
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
        heat = _temperature(entry)
        nulls = {source: _nulls(entry.model, source, pairs, heat, stats) for source, pairs in entry.test.items()}
        rows = []
        for name, parts in names.items():
            pairs = pooled([entry.test[part] for part in parts])
            null, cooled = (np.sum([nulls[part][place] for part in parts], axis=0) for place in (0, 1))
            key = _key(entry.model, name)
            rows.append(key | _metrics_row(entry.model, pairs, null, heat, stats) | _cooled(pairs, cooled, heat, stats))
            if entry.model.scheme != LENGTH:
                bins.extend(key | row for row in reliability_rows(pairs, null, stats))
        metrics.extend(_with_warning(rows))
        progress.step()
    reliability = tables.check(pd.DataFrame(bins), "reliability") if bins else tables.empty("reliability")
    return tables.check(pd.DataFrame(metrics), "metrics"), reliability


def _temperature(entry: ScoredModel) -> float:
    """Fitted on the validation pairs of all sources; NaN where there are none, and for the length rule, whose rewards
    count words: they order pairs and claim no probability."""
    if entry.model.scheme == LENGTH or not entry.validation:
        return NAN
    return calibration_slope.temperature(np.concatenate(list(entry.validation.values())))


def _nulls(
    model: RewardModelId, source: str, pairs: Pairs, heat: float, stats: Stats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gaps of the null as the margins are, and after temperature."""
    if model.scheme == LENGTH:
        return np.zeros((1, stats.bins)), np.zeros((1, stats.bins))
    # Named by model and source: a band does not depend on which other models stand in the table.
    rng = generator(stats.seed, model, source)
    null = _null(pairs.margins, pairs, stats, rng)
    if np.isnan(heat):
        return null, np.zeros_like(null)
    return null, _null(pairs.margins / heat, pairs, stats, rng)


def _null(margins: Vector, pairs: Pairs, stats: Stats, rng: np.random.Generator) -> NDArray[np.float64]:
    return spread_by_prompt(ece.null_gaps(margins, stats.bins, stats.null_draws, rng), margins, pairs.prompts)


def _with_warning(rows: list[Row]) -> list[Row]:
    """Rows of one model, each with the other sets of pairs whose ECE the number of pairs makes incomparable to its."""
    means = {str(row["source"]): float(row["ece_null_mean"]) for row in rows}
    return [
        row
        | {
            "ece_not_beside": ", ".join(
                other
                for other, mean in means.items()
                if not np.isnan(mean) and not ece.comparable(mean, float(row["ece_null_mean"]))
            )
        }
        for row in rows
    ]


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
        "n_prompts": n_clusters(pairs.prompts),
        "n_margin_ties": int((margins == 0).sum()),
        "accuracy": share.estimate,
        "accuracy_low": share.low,
        "accuracy_high": share.high,
        "mean_abs_margin": float(np.abs(margins).mean()),
    }
    if model.scheme == LENGTH:
        return row | dict.fromkeys(_CALIBRATION, NAN)
    return row | _errors(pairs, null, stats) | _scores(pairs, share.estimate, stats)


def _errors(pairs: Pairs, null: NDArray[np.float64], stats: Stats) -> Row:
    folded = ece.fold(pairs.margins, stats.bins)
    error = ece.ece(folded)
    band = ece.null_ece(null, pairs.margins.size)
    low, high = percentile_interval(band, stats.confidence)
    mass, l2 = ece.equal_mass(pairs.margins, stats.bins)
    return {
        "ece": error,
        # The null's noise around the gaps as they are: what another test set of such pairs would change.
        "ece_sd": float(ece.null_ece(folded.gaps + null, pairs.margins.size).std()),
        "ece_null_mean": float(band.mean()),
        "ece_null_sd": float(band.std()),
        "ece_null_low": float(low),
        "ece_null_high": float(high),
        "ece_p": monte_carlo_p(band, error),
        "ece_excess": error - float(band.mean()),
        "mce": ece.mce(folded),
        "ece_equal_mass": mass,
        "l2_debiased": l2,
        "ece_true": ece.ece_true(pairs.margins, pairs.true_preference, stats.bins),
    }


def _scores(pairs: Pairs, accuracy: float, stats: Stats) -> Row:
    margins = pairs.margins
    fitted = calibration_slope.slope_interval(margins, pairs.prompts, stats.confidence)
    proper = {"brier": calibration_slope.brier(margins), "log_loss": calibration_slope.log_loss(margins)}
    limits: Row = {}
    for name, values in proper.items():
        mean = clustered_mean(values, pairs.prompts, stats.confidence)
        limits |= {name: mean.estimate, f"{name}_low": mean.low, f"{name}_high": mean.high}
    return limits | {
        "slope": fitted.estimate,
        "slope_low": fitted.low,
        "slope_high": fitted.high,
        "overconfidence": float(expit(np.abs(margins)).mean()) - accuracy,
        "pairwise_drift": calibration_slope.pairwise_drift(margins, pairs.shared_margin),
    }


def _cooled(pairs: Pairs, null: NDArray[np.float64], heat: float, stats: Stats) -> Row:
    """What is left after the temperature, with the null band of the margins that it leaves."""
    names = [name for name in _CALIBRATION if "temperature" in name]
    if np.isnan(heat):
        return dict.fromkeys(names, NAN)
    band = ece.null_ece(null, pairs.margins.size)
    low, high = percentile_interval(band, stats.confidence)
    return {
        "temperature": heat,
        "ece_after_temperature": ece.ece_of(pairs.margins / heat, stats.bins),
        "ece_after_temperature_null_mean": float(band.mean()),
        "ece_after_temperature_null_low": float(low),
        "ece_after_temperature_null_high": float(high),
        "log_loss_after_temperature": float(calibration_slope.log_loss(pairs.margins / heat).mean()),
    }
