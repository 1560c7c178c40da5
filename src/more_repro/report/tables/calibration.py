"""Measures of every reward model, and two of them on the same pairs."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry
from more_repro.report.row_selection import first_seed
from more_repro.schemes import ALIGN, ALL, MIXTURE, NONE

_SHORT = {
    "ece_p": "p", "l2_debiased": "L2 debiased", "brier": "Brier", "log_loss": "log loss",
    "ece_after_temperature": "after temperature", "ece_true": "true ECE", "pairwise_drift": "drift",
    "ece_not_beside": "not comparable",
}  # fmt: skip


def _metrics(table: pd.DataFrame) -> Shown:
    wanted = table["source"].eq(ALL) & table["trained_on"].isin((MIXTURE, NONE)) & table["ece"].notna()
    rows = first_seed(table[wanted])
    rows = rows.assign(group="base " + rows["base"] + ", regime " + rows["regime"], null=rows["ece_null_mean"])
    rows = rows.assign(null_low=rows["ece_null_low"], null_high=rows["ece_null_high"]).rename(columns=_SHORT)
    ends = ["null_low", "null_high", "slope_low", "slope_high"]
    return rows[["scheme", "ece", "null", "p", "slope", *ends, *list(_SHORT.values())[1:], "group"]], "group"


def _fewer(table: pd.DataFrame) -> Shown:
    rows = table[table["trained_on"] != NONE]
    rows = rows[rows["n_seeds"] < table["n_seeds"].max()] if len(rows) else rows
    named = "base " + rows["base"] + ", regime " + rows["regime"]
    columns = ["scheme", "trained_on", "source", "metric", "estimate", "low", "high", "n_seeds", "group"]
    return rows.assign(group=named)[columns], "group"


def _paired(table: pd.DataFrame) -> Shown:
    rows = table[table["seed"] == "combined"]
    named = "base " + rows["base"] + ", regime " + rows["regime"] + ", against " + rows["against"]
    columns = ["source", "scheme", "metric", "estimate", "low", "high", "null", "p", "p_holm", "n_seeds", "n_pairs"]
    band = [
        f"{low:+.3f} to {high:+.3f}" if low == low else "–"
        for low, high in zip(rows["null_low"], rows["null_high"], strict=True)
    ]
    rows = rows.assign(null=pd.Series(band, index=rows.index, dtype="str"), group=named)
    return rows[[*columns, "n_prompts", "note", "group"]], "group"


def _length(table: pd.DataFrame) -> Shown:
    rows = table[table["statistic"].eq("correlation") & table["trained_on"].isin((MIXTURE, NONE))]
    rows = rows[rows["source"].isin((ALIGN, ALL))]
    named = "base " + rows["base"] + ", regime " + rows["regime"] + ", " + rows["source"]
    return rows.assign(group=named)[["scheme", "seed", "estimate", "low", "high", "n_pairs", "n_prompts", "group"]], (
        "group"
    )


TABLES = (
    TableEntry(
        name="metrics",
        title="Every measure of each reward model",
        order=20,
        caption=(
            "Test pairs of all sources pooled, lowest seed: ECE with the mean and band of its null and its p, "
            "debiased L2 error, slope, Brier score, log loss, ECE after one temperature, ECE against the true "
            "probabilities and pairwise drift where the world knows them; not comparable: sets of pairs whose size "
            "alone moves ECE by more than .005 from this; the CSV has every seed, source and measure"
        ),
        rows=lambda s: s.every("metrics"),
        shown=_metrics,
    ),
    TableEntry(
        name="seed_summary",
        title="Means over seeds that rest on fewer seeds",
        order=30,
        caption=(
            "A measure that is not defined in a seed leaves it out of the mean: rows with fewer seeds than were "
            "trained. The CSV has every mean, with its interval"
        ),
        rows=lambda s: s.every("seed_summary"),
        shown=_fewer,
    ),
    TableEntry(
        name="paired",
        title="Two reward models on the same pairs",
        order=40,
        caption=(
            "Scheme less reference, mean over seeds. Accuracy, log loss and log slope: interval from a bootstrap over "
            "prompts and the spread over seeds. ECE: p and the band (null) of swapping the two models' margins prompt "
            "by prompt: it tests that the two are exchangeable, which slopes on opposite sides of 1 break even at "
            "equal ECE. Holm's p within base, regime, pool and reference; the CSV has single seeds"
        ),
        rows=lambda s: s["paired"],
        shown=_paired,
    ),
    TableEntry(
        name="length_bias",
        title="Correlation of reward with words",
        order=50,
        caption=(
            "Margin against difference in words over both orders of every pair, interval clustered by prompt; the CSV "
            "has each source, single models, and the share of pairs in which the longer response is preferred"
        ),
        rows=lambda s: s["length_bias"],
        shown=_length,
    ),
)
