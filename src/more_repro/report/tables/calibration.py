"""Tables of calibration and of the printed numbers as the page shows them; the CSV beside each has every row."""

from collections.abc import Callable

import pandas as pd

from more_repro.report.row_selection import first_seed
from more_repro.report.run_tables import Study
from more_repro.schemes import ALIGN, ALL, MIXTURE, NONE

_SHORT = {
    "ece_p": "p", "l2_debiased": "L2 debiased", "brier": "Brier", "log_loss": "log loss",
    "ece_after_temperature": "after temperature", "ece_true": "true ECE", "pairwise_drift": "drift",
    "ece_not_beside": "not comparable",
}  # fmt: skip
Shown = tuple[pd.DataFrame, str | None]


def calibration_tables(study: Study) -> list[tuple[str, str, str, pd.DataFrame]]:
    """(name, title, caption, rows): paired comparisons, length, and what the printed ECEs can show."""
    return [
        ("metrics", "Every measure of each reward model",
         "Test pairs of all sources pooled, lowest seed: ECE with the mean and band of its null and its p, debiased L2 "
         "error, slope, Brier score, log loss, ECE after one temperature, ECE against the true probabilities and "
         "pairwise drift where the world knows them; not comparable: sets of pairs whose size alone moves "
         "ECE by more than .005 from this; the CSV has every seed, source and measure", study.every("metrics")),
        ("seed_summary", "Means over seeds that rest on fewer seeds",
         "A measure that is not defined in a seed leaves it out of the mean: rows with fewer seeds than were trained. "
         "The CSV has every mean, with its interval", study.every("seed_summary")),
        ("paired", "Two reward models on the same pairs",
         "Scheme less reference, mean over seeds. Accuracy, log loss and log slope: interval from a bootstrap over "
         "prompts and the spread over seeds. ECE: p and the band (null) of swapping the two models' margins prompt by "
         "prompt: it tests that the two are exchangeable, which slopes on opposite sides of 1 break even at equal ECE. "
         "Holm's p within base, regime, pool "
         "and reference; the CSV has single seeds", study["paired"]),
        ("length_bias", "Correlation of reward with words",
         "Margin against difference in words over both orders of every pair, interval clustered by prompt; the CSV has "
         "each source, single models, and the share of pairs in which the longer response is preferred",
         study["length_bias"]),
        ("published_noise", "Every printed ECE against noise",
         "Null: mean and band of the ECE of a calibrated model at the printed accuracies and test sizes. Difference: "
         "from multitask; noise: what two models equally over-confident (by scale) show by chance; p for unrelated "
         "errors, and for errors that correlate by .8. Computed from the printed numbers; no seed was varied in them",
         study["published_noise"]),
        ("published_checks", "What the six printed points can show",
         "Direction by base with the sign-flip p, ECE against a scheme dummy, the floor of an exact test, reliability",
         study["published_checks"]),
    ]  # fmt: skip


def shown(name: str, table: pd.DataFrame) -> Shown:
    """The rows and columns of one of these tables that fit a page, and the column that heads groups of rows."""
    return _SHOWN[name](table)


def knows(name: str) -> bool:
    """Whether a table is one of these."""
    return name in _SHOWN


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


def _noise(table: pd.DataFrame) -> Shown:
    names = {"table1": "Table 1", "table2": "Table 2", "tables4_6": "Tables 4 to 6"}
    named = table["table"].map(names) + ", " + table["base"].str.replace("_", ".")
    rows = table.rename(columns={"null_mean": "null", "noise_low": "noise_from", "noise_high": "noise_to"})
    return rows.assign(group=named).drop(columns=["table", "base"]), "group"


def _checks(table: pd.DataFrame) -> Shown:
    return table.drop(columns="outcome"), None


_SHOWN: dict[str, Callable[[pd.DataFrame], Shown]] = {
    "metrics": _metrics, "seed_summary": _fewer, "paired": _paired, "length_bias": _length,
    "published_noise": _noise, "published_checks": _checks,
}  # fmt: skip
