"""Schemes against vanilla mixing, paired over seeds: the same data, start and test pairs on both sides."""

from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.intervals import NAN, holm, mean_interval
from more_repro.evaluation.scored import POOLS
from more_repro.evaluation.summaries import per_seed
from more_repro.params import Stats

AGAINST = "multitask"
LOG_SLOPE = "log_slope"  # sees a difference of temperature that the ECE of the same pairs does not
_CELL = ["base", "regime", "trained_on", "source", "metric"]
_FAMILY = ["base", "regime", "trained_on", "source"]


def comparisons(metrics: pd.DataFrame, stats: Stats) -> pd.DataFrame:
    """Table "comparisons": scheme minus multitask, paired over seeds, with the paired t interval and p.

    Within base, regime and trained_on ("mixture", and "first<K>" of the sweep), for each source, pool and "mean".
    Metrics are those of seed_summary and "log_slope" (defined where both slopes are positive).
    p_holm: Holm over schemes x metrics of one base, regime and trained_on, on "all" and on "align", each a family of
    its own; NaN on other rows. Fewer than two seeds: NaN interval and p.
    """
    pairs = paired(metrics)
    rows: list[dict[str, Any]] = []
    for key, group in pairs.groupby([*_CELL, "scheme"], sort=True):
        difference = group["difference"].to_numpy(np.float64)
        difference = difference[~np.isnan(difference)]
        interval = mean_interval(difference, stats.confidence)
        rows.append(
            dict(zip([*_CELL, "scheme"], key, strict=True))
            | interval.columns()
            | {"against": AGAINST, "p": interval.p, "p_holm": NAN}
            | {"n_seeds": interval.n, "n_pairs": int(group["n_pairs"].min())}
        )
    if not rows:
        return tables.empty("comparisons")
    return tables.check(_with_holm(pd.DataFrame(rows)), "comparisons")


def paired(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows [base, regime, trained_on, source, metric, seed, scheme, n_pairs, difference] against multitask."""
    long = per_seed(metrics)
    slopes = long[long["metric"] == "slope"]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(slopes["value"].where(slopes["value"] > 0))
    long = pd.concat([long, slopes.assign(metric=LOG_SLOPE, value=logs)], ignore_index=True)
    # The mean of log slopes over sources is not the log of their mean: only rows of real sets of pairs have it.
    long = long[~((long["metric"] == LOG_SLOPE) & (long["source"] == "mean"))]
    vanilla = long[long["scheme"] == AGAINST].drop(columns=["scheme", "n_pairs"])
    others = long[long["scheme"] != AGAINST]
    both = others.merge(vanilla, on=[*_CELL, "seed"], suffixes=("", "_vanilla"), validate="many_to_one")
    both["difference"] = both["value"] - both["value_vanilla"]
    return both.drop(columns=["value", "value_vanilla"])


def _with_holm(table: pd.DataFrame) -> pd.DataFrame:
    for _, rows in table[table["source"].isin(POOLS)].groupby(_FAMILY).groups.items():
        table.loc[rows, "p_holm"] = holm(table.loc[rows, "p"])
    return table
