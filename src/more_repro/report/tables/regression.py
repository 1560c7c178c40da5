"""The regressions of alignment on calibration, and what their terms are called."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry
from more_repro.report.run_tables import Study, placebo_sentences

PLACEBO = "ece_temperature"
# Terms of the regressions of net win that are held beside ECE, and what a reader is told that they are.
TERMS = {
    "ece": "ECE",
    PLACEBO: "ECE that one temperature removes (placebo)",
    "ece_shape": "ECE that it leaves",
    "ece_first_half": "ECE of a half of the prompts",
    "ece_second_half": "ECE of the other half",
    "slope": "calibration slope",
}


def _caption(study: Study) -> str:
    words = "By data, outcome and method; for net win also its parts, its halves and the slope"
    return " ".join([words, *placebo_sentences(study["regression"])]).rstrip(".")


def _shown(table: pd.DataFrame) -> Shown:
    named = table["data"] + ": " + table["outcome"].str.replace("_", " ")
    parts = table["outcome"].eq("net_win") & table["term"].isin(TERMS)
    named += ", " + table["term"].map(TERMS).fillna(table["term"])
    rows = table.assign(group=named)[(table["term"].eq("ece") | parts) & table["estimate"].notna()]
    return rows.drop(columns=["data", "outcome", "term"]), "group"


TABLES = (
    TableEntry(
        name="regression",
        title="The coefficient of ECE in every regression",
        order=80,
        caption=_caption,
        rows=lambda s: s["regression"],
        shown=_shown,
    ),
)
