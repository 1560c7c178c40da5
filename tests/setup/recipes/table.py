"""The loss that each training ended with."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry
from more_repro.report.run_tables import Study


def _rows(study: Study) -> pd.DataFrame:
    log = study["training_log"]
    last = log[log["step"] == log.groupby(["base", "regime", "scheme", "trained_on", "seed"])["step"].transform("max")]
    return last[["base", "regime", "scheme", "trained_on", "seed", "source", "loss"]]


def _shown(table: pd.DataFrame) -> Shown:
    rows = table[table["trained_on"] == "mixture"]
    named = "base " + rows["base"] + ", regime " + rows["regime"]
    return rows.assign(group=named)[["scheme", "seed", "source", "loss", "group"]], "group"


TABLES = (
    TableEntry(
        name="last_loss",
        title="The loss that each training ended with",
        order=35,
        caption="Loss of the last step by source, reward models of all sources; the CSV has single models too",
        rows=_rows,
        shown=_shown,
    ),
)
