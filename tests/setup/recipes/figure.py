"""How many pairs of each source were kept."""

import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need


def kept_rows(audit: pd.DataFrame) -> pd.DataFrame:
    """Rows of the training pairs that were kept."""
    return audit[(audit["reason"] == "kept") & (audit["split"] == "train")]


@style.styled
def kept(audit: pd.DataFrame) -> Figure:
    """A bar for each source."""
    rows = need(kept_rows(audit), "no pair was kept")
    figure, (axis,) = style.grid(1, 1, 0.3 * len(rows) + 0.6)
    axis.barh([style.short(source) for source in rows["source"]], rows["n_pairs"], color=style.SOURCE_COLOURS[0])
    axis.set(xlabel="training pairs that were kept")
    return figure


FIGURES = (
    FigureEntry(
        name="kept",
        title="Training pairs of each source",
        section="disagreement",
        order=15,
        caption="Pairs that are left for training; the audit says what became of the others.",
        alt="Bars: number of training pairs of each source that were kept",
        draw=lambda s, r: kept(s["audit"]),
        rows=lambda s, r: kept_rows(s["audit"]),
        per_regime=False,
    ),
)
