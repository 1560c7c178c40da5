"""Schemes against each other, paired over seeds: the same data, start and test pairs on both sides."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.comparisons.seed_summary import per_seed
from more_repro.params import Stats
from more_repro.schemes import MEAN, POOLS, Roles
from more_repro.stats.intervals import NAN, mean_interval
from more_repro.stats.multiple_testing import holm

LOG_SLOPE = "log_slope"  # sees a difference of temperature that the ECE of the same pairs does not
# The metrics that are tested, and shown: one family. Every other metric has its interval and p, and no p_holm.
TESTED = ("accuracy", "log_loss", LOG_SLOPE, "ece")
_CELL = ["base", "regime", "trained_on", "source", "metric"]
_FAMILY = ["base", "regime", "trained_on", "source"]


def comparisons(metrics: pd.DataFrame, stats: Stats, roles: Roles, controls: Sequence[str] = ()) -> pd.DataFrame:
    """Table "comparisons": every scheme minus multitask, and MORE minus each control, paired over seeds, with the
    paired t interval and p.

    Within base, regime and trained_on ("mixture", and "first<K>" of the sweep), for each source, pool and "mean".
    Metrics are those of seed_summary and "log_slope" (defined where both slopes are positive).
    p_holm: Holm over the metrics TESTED x schemes (against multitask) or x controls (MORE against them) of one base,
    regime and trained_on, on "all" and on "align", each a family of its own; NaN on other rows and metrics. Fewer than
    two seeds, or seeds that do not differ at all: NaN interval and p.
    """
    everything = compared_metrics(metrics, roles)
    of_method = everything[everything["scheme"] == roles.method]
    parts = [_rows(difference(everything, roles.reference), roles.reference, stats)]
    against_controls = [_rows(difference(everything, name, of_method), name, stats) for name in controls]
    parts.append(pd.concat(against_controls) if against_controls else pd.DataFrame())
    parts = [_with_holm(part.reset_index(drop=True)) for part in parts if len(part)]
    return tables.check(pd.concat(parts, ignore_index=True), "comparisons") if parts else tables.empty("comparisons")


def _rows(pairs: pd.DataFrame, against: str, stats: Stats) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for key, group in pairs.groupby([*_CELL, "scheme"], sort=True):
        values = group["difference"].to_numpy(np.float64)
        interval = mean_interval(values[~np.isnan(values)], stats.confidence)
        rows.append(
            dict(zip([*_CELL, "scheme"], key, strict=True))
            | interval.columns()
            | {"against": against, "p": interval.p, "p_holm": NAN}
            | {"n_seeds": interval.n, "n_pairs": int(group["n_pairs"].min())}
        )
    return pd.DataFrame(rows)


def compared_metrics(metrics: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Rows [MODEL_KEY, source, metric, value, n_pairs]: those of per_seed, and the log of each positive slope."""
    long = per_seed(metrics, roles)
    slopes = long[long["metric"] == "slope"]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(slopes["value"].where(slopes["value"] > 0))
    long = pd.concat([long, slopes.assign(metric=LOG_SLOPE, value=logs)], ignore_index=True)
    # The mean of log slopes over sources is not the log of their mean: only rows of real sets of pairs have it.
    return long[~((long["metric"] == LOG_SLOPE) & (long["source"] == MEAN))]


def difference(long: pd.DataFrame, against: str, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows [base, regime, trained_on, source, metric, seed, scheme, n_pairs, difference] of the other schemes (or of
    the rows given) minus one scheme, where both have the same base, regime, trained_on and seed."""
    reference = long[long["scheme"] == against].drop(columns=["scheme", "n_pairs"])
    others = long if others is None else others
    others = others[others["scheme"] != against]
    both = others.merge(reference, on=[*_CELL, "seed"], suffixes=("", "_reference"), validate="many_to_one")
    both["difference"] = both["value"] - both["value_reference"]
    return both.drop(columns=["value", "value_reference"])


def _with_holm(table: pd.DataFrame) -> pd.DataFrame:
    tested = table["source"].isin(POOLS) & table["metric"].isin(TESTED)
    for _, rows in table[tested].groupby(_FAMILY).groups.items():
        table.loc[rows, "p_holm"] = holm(table.loc[rows, "p"])
    return table
