"""What reward models of one source know of the others (Fig 1 left), and heat maps in general."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from more_repro.report import style
from more_repro.report.row_selection import (
    bases_of,
    data_sets,
    first_seed,
    labelled,
    model_label,
    need,
    of_base,
    of_regime,
    whole,
)
from more_repro.schemes import RAW, Roles


def accuracy_rows(metrics: pd.DataFrame, regime: str | None, base: str | None = None, *, roles: Roles) -> pd.DataFrame:
    """Rows of Fig 1 left: raw and single models of every base, or of the one named, each model's lowest seed."""
    rows = of_regime(whole(metrics), regime)
    rows = data_sets(rows[rows["scheme"].isin((RAW, roles.single))])
    return labelled(first_seed(rows if base is None else of_base(rows, base)), roles)


@style.styled
def fig1_left(metrics: pd.DataFrame, regime: str | None = None, base: str | None = None, *, roles: Roles) -> Figure:
    """Accuracy of each single-source reward model, and of the raw one, on each source; small: half-widths.

    A panel for each base, all on one scale.
    """
    rows = need(accuracy_rows(metrics, regime, base, roles=roles), "no single-source reward model was scored")
    rows = rows.assign(half=(rows["accuracy_high"] - rows["accuracy_low"]) / 2)
    spread = float(np.nanmax(np.abs(rows["accuracy"] - 0.5)))
    names = bases_of(rows)
    figure, axes = style.grid(len(names), 1, 0.46 * rows["model"].nunique() + 0.9)
    for axis, base in zip(axes, names, strict=True):
        table, half = (matrix(of_base(rows, base), "model", "source", column) for column in ("accuracy", "half"))
        draw_heat_map(axis, table, half, centre=0.5, label="accuracy", spread=spread)
        axis.set(xlabel="tested on", ylabel="")
        axis.set_title(f"Accuracy on each source's test pairs, base {style.short(base)}")
        for row, model in enumerate(table.index):
            for column, source in enumerate(table.columns):
                if model == model_label(roles.single, str(source), roles):
                    axis.add_patch(_frame(column, row))
    return figure


def matrix(rows: pd.DataFrame, index: str, columns: str, values: str) -> pd.DataFrame:
    """Rows as a matrix, in the order of appearance; NaN where there is no row."""
    wide = rows.set_index([index, columns])[values].unstack()  # noqa: PD010 - pivot_table would take means
    return wide.reindex(index=list(dict.fromkeys(rows[index])), columns=list(dict.fromkeys(rows[columns])))


def draw_heat_map(
    axis: Axes, table: pd.DataFrame, half: pd.DataFrame, centre: float, label: str, spread: float = 0.0
) -> None:
    """Blue above the centre, orange below; the half-width of each interval in small print under the number.

    spread: how far from the centre the colours reach at least, so that several maps have one scale.
    """
    spread = float(np.nanmax(np.abs(table.to_numpy(dtype=float) - centre), initial=max(spread, 0.05)))
    sns.heatmap(
        table,
        ax=axis,
        cmap=sns.diverging_palette(35, 250, s=80, l=66, as_cmap=True),
        vmin=centre - spread,
        vmax=centre + spread,
        cbar_kws={"label": label},
        linewidths=1.5,
        linecolor=style.CARD,
    )
    values, widths = table.to_numpy(dtype=float), half.to_numpy(dtype=float)
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            value, width = values[row, column], widths[row, column]
            if np.isnan(value):
                continue
            shift = 0.08 if np.isfinite(width) else 0.0
            axis.text(
                column + 0.5, row + 0.5 - shift, f"{value:.2f}", ha="center", va="center", color=style.INK, fontsize=9
            )
            if np.isfinite(width):
                axis.text(
                    column + 0.5, row + 0.76, f"±{width:.2f}", ha="center", va="center", color=style.INK, fontsize=6.5
                )
    axis.set_xticklabels([style.short(str(c)) for c in table.columns], rotation=20 if table.shape[1] > 6 else 0)
    axis.set_yticklabels([style.short(str(r)) for r in table.index], rotation=0)
    axis.grid(visible=False)


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, fill=False, edgecolor=style.INK, linewidth=1.4)
