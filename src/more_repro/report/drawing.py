"""What several figures draw: heat maps, points with intervals, marks of schemes and bases, and their legends."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from more_repro.report import style
from more_repro.report.row_selection import bases_of
from more_repro.schemes import Roles

NULL_LABEL = "null band: perfectly calibrated, same n"
_BASE_FACES = ("full", "none", "left", "right", "top", "bottom")


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


def with_half(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `half`, the longer side of each interval: Wilson's reach further on one side than on the other."""
    return rows.assign(half=np.maximum(rows["high"] - rows["estimate"], rows["estimate"] - rows["low"]))


def draw_point(axis: Axes, x: float, row: Mapping[Any, Any], scheme: str, roles: Roles) -> None:
    """A row's estimate with its interval, upright, in colour and marker of a scheme."""
    estimate, low, high = float(row["estimate"]), float(row["low"]), float(row["high"])
    colour = style.scheme_colour(scheme, roles)
    if np.isfinite(low) and np.isfinite(high):
        axis.vlines(x, low, high, color=colour, linewidth=1.4, alpha=0.8, zorder=2)
    axis.plot(
        [x],
        [estimate],
        style.scheme_marker(scheme, roles),
        color=colour,
        markeredgecolor=style.CARD,
        markeredgewidth=0.5,
        zorder=3,
    )


def null_bands(metrics: pd.DataFrame | None, row: Mapping[Any, Any]) -> list[tuple[float, float]]:
    """The null band of one row's model family and source, its ends averaged over seeds; empty where there is none."""
    if metrics is None:
        return []
    same = pd.Series(data=True, index=metrics.index)
    for name in ("base", "regime", "scheme", "trained_on", "source"):
        same &= metrics[name] == row[name]
    low, high = (float(metrics.loc[same, f"ece_null_{end}"].mean()) for end in ("low", "high"))
    return [(low, high)] if np.isfinite(low) and np.isfinite(high) else []


def draw_estimate(axis: Axes, y: float, row: dict | None, marker: str, colour: str, size: float = 5.0) -> None:
    """A row's estimate with its interval, level; nothing where it is not defined."""
    if row is None or not np.isfinite(row["estimate"]):
        return
    if np.isfinite(row["low"]) and np.isfinite(row["high"]):
        axis.hlines(y, row["low"], row["high"], color=colour, linewidth=1.3)
    axis.plot(row["estimate"], y, marker, color=colour, markersize=size)


def draw_trajectories(axis: Axes, rows: pd.DataFrame, column: str, names: Sequence[str]) -> None:
    """A column and its running mean over the steps of a training, a line for each source."""
    for number, source in enumerate(names):
        curve = rows[rows["source"] == source].sort_values("step")
        line = style.source_line(number)
        axis.plot(curve["step"], curve[column], color=line["color"], linewidth=0.5, alpha=0.18)
        axis.plot(curve["step"], curve[f"{column}_mean"], **line)  # type: ignore[arg-type]


def policy_mark(axis: Axes, x: float, y: float, row: dict, bases: list[str], roles: Roles) -> None:
    """A point: colour and marker of the scheme, filling of the base."""
    place = bases.index(row["base"]) if row["base"] in bases else 0
    axis.plot(
        [x],
        [y],
        style.scheme_marker(row["scheme"], roles),
        color=style.scheme_colour(row["scheme"], roles),
        markersize=6.5,
        fillstyle=_BASE_FACES[place % len(_BASE_FACES)],
        markerfacecoloralt=style.CARD,
    )


def policy_handles(rows: pd.DataFrame, roles: Roles) -> list[Line2D]:
    """Legend of `policy_mark`: the schemes of the rows, then their bases."""
    schemes = [
        Line2D(
            [],
            [],
            linestyle="",
            color=style.scheme_colour(s, roles),
            marker=style.scheme_marker(s, roles),
            label=style.scheme_label(s),
        )
        for s in style.scheme_order(rows["scheme"], roles)
    ]
    bases = [
        Line2D(
            [],
            [],
            linestyle="",
            color=style.MUTED,
            marker="o",
            fillstyle=_BASE_FACES[n % len(_BASE_FACES)],  # type: ignore[arg-type]
            markerfacecoloralt=style.CARD,
            label=f"base {style.short(b)}",
        )
        for n, b in enumerate(bases_of(rows))
    ]
    return schemes + bases


def plain(name: str) -> str:
    """A column's name as words."""
    return style.short(name.replace("_", " ").replace("ece", "ECE"), 40)


def scheme_handles(schemes: Iterable[str], roles: Roles, linewidth: float = 1.6) -> list[Line2D]:
    """Legend of schemes: colour and marker of each, in the order given."""
    return [
        Line2D(
            [], [], color=style.scheme_colour(s, roles), marker=style.scheme_marker(s, roles), linewidth=linewidth,
            label=style.scheme_label(s),
        )
        for s in schemes
    ]  # fmt: skip


def source_handles(names: Sequence[str]) -> list[Line2D]:
    """Legend of sources: colour and dash of each."""
    return [Line2D([], [], label=style.short(s), **style.source_line(n)) for n, s in enumerate(names)]  # type: ignore[arg-type]
