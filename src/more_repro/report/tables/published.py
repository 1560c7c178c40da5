"""What the printed numbers alone can show."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry


def _noise(table: pd.DataFrame) -> Shown:
    names = {"table1": "Table 1", "table2": "Table 2", "tables4_6": "Tables 4 to 6"}
    named = table["table"].map(names) + ", " + table["base"].str.replace("_", ".")
    rows = table.rename(columns={"null_mean": "null", "noise_low": "noise_from", "noise_high": "noise_to"})
    return rows.assign(group=named).drop(columns=["table", "base"]), "group"


def _checks(table: pd.DataFrame) -> Shown:
    return table.drop(columns="outcome"), None


TABLES = (
    TableEntry(
        name="published_noise",
        title="Every printed ECE against noise",
        order=60,
        caption=(
            "Null: mean and band of the ECE of a calibrated model at the printed accuracies and test sizes. "
            "Difference: from multitask; noise: what two models equally over-confident (by scale) show by chance; p "
            "for unrelated errors, and for errors that correlate by .8. Computed from the printed numbers; no seed "
            "was varied in them"
        ),
        rows=lambda s: s["published_noise"],
        shown=_noise,
    ),
    TableEntry(
        name="published_checks",
        title="What the six printed points can show",
        order=70,
        caption=(
            "Direction by base with the sign-flip p, ECE against a scheme dummy, the floor of an exact test, "
            "reliability"
        ),
        rows=lambda s: s["published_checks"],
        shown=_checks,
    ),
)
