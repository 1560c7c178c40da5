"""Over seeds: the long table of every metric, and its means with t intervals."""

from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Stats
from more_repro.records import MODEL_KEY
from more_repro.schemes import EACH, LENGTH, MEAN, POOLS, TOP, Roles
from more_repro.stats.intervals import NAN, mean_interval

METRICS = (
    "accuracy", "ece", "ece_excess", "slope", "log_loss", "brier", "overconfidence", "mean_abs_margin",
    "ece_after_temperature", "ece_true", "pairwise_drift",
)  # fmt: skip
_MODELS = [name for name in MODEL_KEY if name != "seed"]


def per_seed(metrics: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Table "metrics" as rows [MODEL_KEY, source, metric, value, n_pairs], with source "mean" and scheme "top" added.

    "mean" is the plain mean over all sources (NaN if one is), n_pairs their sum; only for models tested on all of them.
    "top" has trained_on "each": the row of a source is the single model of that source, its mean that over the matching
    single models.
    """
    metrics = tables.check(metrics, "metrics")
    long = metrics.melt(
        id_vars=[*MODEL_KEY, "source", "n_pairs"], value_vars=list(METRICS), var_name="metric", value_name="value"
    )
    own = long[(long["scheme"] == roles.single) & (long["trained_on"] == long["source"])]
    long = pd.concat([long, own.assign(scheme=TOP, trained_on=EACH)], ignore_index=True)
    plain = long[~long["source"].isin(POOLS)]
    by_model = plain.groupby([*MODEL_KEY, "metric"], sort=True)
    means = by_model.agg(
        n_sources=("source", "size"), n_known=("value", "count"), n_pairs=("n_pairs", "sum"), value=("value", "mean")
    ).reset_index()
    means["value"] = means["value"].where(means["n_known"] == means["n_sources"])
    means = (
        means[means["n_sources"] == plain["source"].nunique()]
        .drop(columns=["n_sources", "n_known"])
        .assign(source=MEAN)
    )
    return pd.concat([long, means], ignore_index=True)[[*MODEL_KEY, "source", "metric", "value", "n_pairs"]]


def seed_summary(metrics: pd.DataFrame, stats: Stats, roles: Roles) -> pd.DataFrame:
    """Table "seed_summary": mean over seeds with a t interval, for each metric of METRICS.

    n_seeds: seeds where the metric is defined (the others do not enter the mean); 0 = NaN row.
    n_pairs: test pairs of one seed, the fewest. One seed: no interval. Base and seed vary together where the params
    say so, test pairs do not: the interval is over training. The length rule is not trained: its accuracy has the
    interval over prompts, and its mean over sources that of a mean of independent accuracies.
    """
    over_prompts = _rule_intervals(metrics)
    rows: list[dict[str, Any]] = []
    groups = per_seed(metrics, roles).groupby([*_MODELS, "source", "metric"], sort=True)
    for key, group in groups:
        values = group["value"].to_numpy(np.float64)
        values = values[~np.isnan(values)]
        rows.append(
            dict(zip([*_MODELS, "source", "metric"], key, strict=True))
            | mean_interval(values, stats.confidence).columns()
            | {
                "sd": float(values.std(ddof=1)) if values.size > 1 else NAN,
                "n_seeds": values.size,
                "n_pairs": int(group["n_pairs"].min()),
            }
            | (over_prompts.get((str(key[-2]), str(key[-1])), {}) if LENGTH in key else {})
        )
    return tables.check(pd.DataFrame(rows), "seed_summary")


def _rule_intervals(metrics: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Limits of the length rule's accuracy over prompts, by (source, metric)."""
    rows = metrics[metrics["scheme"] == LENGTH].set_index("source")
    value, low, high = (rows[name].astype(np.float64) for name in ("accuracy", "accuracy_low", "accuracy_high"))
    limits = {
        (str(source), "accuracy"): {"low": float(low[source]), "high": float(high[source])} for source in rows.index
    }
    plain = [source for source in rows.index if source not in POOLS]
    if plain:
        mean, below, above = value[plain].mean(), (value - low)[plain], (high - value)[plain]
        halves = (float(np.sqrt((half**2).sum())) / len(plain) for half in (below, above))
        limits[MEAN, "accuracy"] = {"low": mean - next(halves), "high": mean + next(halves)}
    return limits
