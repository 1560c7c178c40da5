"""How often training uses each pair of the mixture."""

import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need


@style.styled
def passes(table: pd.DataFrame) -> Figure:
    """How often each pair of a source is used once sources are resampled to one size; a panel per regime."""
    need(table, "no mixture")
    regimes = list(dict.fromkeys(table["regime"]))
    figure, axes = style.grid(len(regimes), 2, 0.28 * int(table["source"].nunique()) + 0.7, sharex=True)
    for axis, regime in zip(axes, regimes, strict=True):
        part = table[table["regime"] == regime]
        axis.barh(
            [-n for n in range(len(part))],
            part["mean_passes"],
            color=style.ACCENT,
            height=0.6,
            alpha=0.85,
        )
        for place, row in enumerate(part.to_dict("records")):
            axis.text(
                row["mean_passes"],
                -place,
                f"  {row['unique_pairs']:,} pairs × {row['mean_passes']:.1f}",
                va="center",
                fontsize=7.8,
            )
        axis.set_yticks([-n for n in range(len(part))], [style.short(s) for s in part["source"]])
        axis.set(
            title=f"regime {style.short(regime)}",
            xlabel="passes over each pair",
            xlim=(0, 1.45 * float(table["mean_passes"].max())),
        )
        axis.grid(visible=False, axis="y")
    return figure


FIGURES = (
    FigureEntry(
        name="passes",
        title="How often each pair is used",
        section="disagreement",
        order=120,
        caption=(
            "Sources are resampled to one size, so the pairs of a small source are repeated. Hold these numbers "
            "against the over-confidence of each regime below."
        ),
        alt="Bars: passes over each pair of every source, per regime",
        draw=lambda s, r: passes(s["mixture_summary"]),
        rows=lambda s, r: s["mixture_summary"],
        per_regime=False,
    ),
)
