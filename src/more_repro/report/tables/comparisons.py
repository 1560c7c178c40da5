"""Every scheme against multitask."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry
from more_repro.report.run_tables import Study
from more_repro.schemes import ALIGN, ALL

_MEASURES = ("accuracy", "log_loss", "log_slope", "ece")


def _rows(study: Study) -> pd.DataFrame:
    rows = study["comparisons"]
    rows = rows[rows["against"] == study.roles.reference]
    return rows[rows["source"].isin((ALL, ALIGN)) & rows["metric"].isin(_MEASURES)]


def _shown(table: pd.DataFrame) -> Shown:
    named = "base " + table["base"] + ", regime " + table["regime"]
    return table.assign(group=named).drop(columns=["base", "regime", "trained_on", "against"]), "group"


TABLES = (
    TableEntry(
        name="comparisons",
        title="Every scheme against multitask",
        order=10,
        caption=(
            "Difference from multitask of the same base, regime and seed on the same pairs, interval over seeds; "
            "Holm's p is corrected within its family"
        ),
        rows=_rows,
        shown=_shown,
    ),
)
