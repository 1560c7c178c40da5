"""Accuracy and calibration of every scheme: Figs 3, 4 and 6."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.row_selection import (
    bases_of,
    data_sets,
    need,
    of_base,
    of_regime,
    sources_of,
    subset_size,
    whole,
)
from more_repro.schemes import ALIGN, ALL, LENGTH, MEAN, NONE, TOP, Roles, is_first_k

NULL_LABEL = "null band: perfectly calibrated, same n"


def summary_rows(seed_summary: pd.DataFrame, metric: str, regime: str | None, *, roles: Roles) -> pd.DataFrame:
    """Rows of Figs 3 and 4: every scheme on every source and on their mean, singles shown as `top`."""
    rows = of_regime(whole(seed_summary), regime)
    rows = rows[(rows["metric"] == metric) & ~rows["source"].isin((ALL, ALIGN))]
    return rows[(rows["scheme"] != roles.single) & rows["estimate"].notna()]


def length_rows(metrics: pd.DataFrame, seed_summary: pd.DataFrame) -> pd.DataFrame:
    """[source, accuracy, accuracy_low, accuracy_high] of the length rule on each source and on their mean."""
    columns = ["source", "accuracy", "accuracy_low", "accuracy_high"]
    own = data_sets(metrics[metrics["scheme"] == LENGTH]).drop_duplicates("source")[columns]
    wanted = (seed_summary["scheme"] == LENGTH) & (seed_summary["source"] == MEAN)
    mean = seed_summary[wanted & (seed_summary["metric"] == "accuracy")][["source", "estimate", "low", "high"]]
    return pd.concat([own, mean.set_axis(columns, axis="columns")], ignore_index=True)


@style.styled
def fig3(seed_summary: pd.DataFrame, metrics: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """Accuracy per source of every scheme, intervals over seeds; the length rule as a line with its own interval."""
    rows = need(summary_rows(seed_summary, "accuracy", regime, roles=roles), "no accuracy of any scheme")
    rule = length_rows(metrics, seed_summary).set_index("source")
    figure, axes = _per_base(rows)
    for axis, base in zip(axes, bases_of(rows), strict=True):
        groups = _groups(rows)
        _dots(axis, of_base(rows, base), groups, roles)
        for place, source in enumerate(groups):
            if source in rule.index:
                ends, row = (place - 0.46, place + 0.46), rule.loc[source]
                axis.fill_between(
                    ends, row["accuracy_low"], row["accuracy_high"], color=style.BAND, alpha=0.55, linewidth=0
                )
                axis.hlines(row["accuracy"], *ends, color=style.INK, linestyle="--", linewidth=1.2)
        axis.axhline(0.5, color=style.MUTED, linewidth=0.8, linestyle=":")
        axis.set(ylabel="accuracy")
        axis.set_title(f"base {style.short(base)}")
    line = Line2D(
        [], [], color=style.INK, linestyle="--", linewidth=1.2, label="length rule: longer wins (grey: interval)"
    )
    style.legend_below(figure, [*_handles(rows, roles), *([] if rule.empty else [line])], 4)
    return figure


@style.styled
def fig4(seed_summary: pd.DataFrame, metrics: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """ECE per source of every scheme; grey bars: what a perfectly calibrated model would show (null band)."""
    rows = need(summary_rows(seed_summary, "ece", regime, roles=roles), "no ECE of any scheme")
    null = null_rows(metrics, regime, roles)
    figure, axes = _per_base(rows)
    for axis, base in zip(axes, bases_of(rows), strict=True):
        _dots(axis, of_base(rows, base), _groups(rows), roles, of_base(null, base))
        axis.set(ylabel="ECE (lower is better)")
        axis.set_title(f"base {style.short(base)}")
    style.from_zero(axes)
    band = Patch(color=style.BAND, label=NULL_LABEL)
    style.legend_below(figure, [*_handles(rows, roles), band], 4)
    return figure


def null_rows(metrics: pd.DataFrame, regime: str | None, roles: Roles) -> pd.DataFrame:
    """Null band of each scheme and source, its ends averaged over seeds; single models on their own source: `top`."""
    rows = of_regime(whole(metrics), regime)
    single = rows["scheme"] == roles.single
    rows = rows[~single | (rows["trained_on"] == rows["source"])]
    rows = rows.assign(scheme=rows["scheme"].where(rows["scheme"] != roles.single, TOP))
    return (
        rows.groupby(["base", "scheme", "source"], sort=False)[["ece_null_low", "ece_null_high"]].mean().reset_index()
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


def _per_base(rows: pd.DataFrame) -> tuple[Figure, list[Axes]]:
    bases = bases_of(rows)
    need(rows[rows["base"] != NONE], "no trained reward model")
    return style.grid(len(bases), 1, 2.7, sharey=True)


def _groups(rows: pd.DataFrame) -> list[str]:
    return [*sources_of(rows), *([MEAN] if (rows["source"] == MEAN).any() else [])]


def _dots(axis: Axes, rows: pd.DataFrame, groups: list[str], roles: Roles, null: pd.DataFrame | None = None) -> None:
    """A point with its interval for each scheme, side by side inside each source."""
    schemes = [s for s in style.scheme_order(rows["scheme"], roles) if s != LENGTH]
    step = 0.8 / max(len(schemes), 1)
    for place in range(1, len(groups), 2):
        axis.axvspan(place - 0.5, place + 0.5, color="#f1f3f6", zorder=0)
    for number, scheme in enumerate(schemes):
        part = rows[rows["scheme"] == scheme].drop_duplicates("source").set_index("source")
        bands = {} if null is None else _bands(null[null["scheme"] == scheme])
        for place, source in enumerate(groups):
            if source not in part.index:
                continue
            x = place - 0.4 + (number + 0.5) * step
            if source in bands:
                ends = [x - 0.42 * step, x + 0.42 * step]
                axis.fill_between(ends, *bands[source], color=style.BAND, linewidth=0, zorder=1)
            draw_point(axis, x, part.loc[source].to_dict(), scheme, roles)
    axis.set_xticks(range(len(groups)), [style.short(g, 16) for g in groups])
    axis.set_xlim(-0.5, len(groups) - 0.5)
    axis.grid(visible=False, axis="x")


def _bands(null: pd.DataFrame) -> dict[str, tuple[float, float]]:
    return dict(zip(null["source"], zip(null["ece_null_low"], null["ece_null_high"], strict=True), strict=True))


def draw_point(axis: Axes, x: float, row: Mapping[Any, Any], scheme: str, roles: Roles) -> None:
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


def _handles(rows: pd.DataFrame, roles: Roles) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=style.scheme_colour(s, roles),
            marker=style.scheme_marker(s, roles),
            linewidth=1.4,
            label=style.scheme_label(s),
        )
        for s in style.scheme_order(rows["scheme"], roles)
        if s != LENGTH
    ]


def fig6_rows(seed_summary: pd.DataFrame, regime: str | None, n_sources: int, *, roles: Roles) -> pd.DataFrame:
    """Rows of Fig 6: ECE with a column n_mixed (K); single models on their own source have K = 1."""
    rows = of_regime(seed_summary, regime)
    rows = rows[rows["metric"].eq("ece") & rows["estimate"].notna()]
    sizes = rows["trained_on"].map(lambda name: subset_size(name, n_sources)).astype("Float64")
    own = (rows["scheme"] == roles.single) & (rows["trained_on"] == rows["source"])
    rows = rows.assign(n_mixed=sizes.where(~own, 1.0))
    swept = rows[rows["trained_on"].map(is_first_k).astype(bool)]
    keep = rows["source"].isin(sources_of(swept)) & rows["base"].isin(bases_of(swept))
    return rows[keep & rows["n_mixed"].notna() & rows["scheme"].isin([*swept["scheme"].unique(), roles.single])]


@style.styled
def fig6(
    seed_summary: pd.DataFrame,
    regime: str | None = None,
    n_sources: int | None = None,
    metrics: pd.DataFrame | None = None,
    *,
    roles: Roles,
) -> Figure:
    """ECE on the alignment sources against K, the number of mixed sources; the single model's ECE as a dashed line.

    metrics: gives each point its null band; None draws none.
    """
    count = len(sources_of(seed_summary)) if n_sources is None else n_sources
    rows = need(
        fig6_rows(seed_summary, regime, count, roles=roles),
        "no reward model of the first K sources (rm.sweep) in this regime",
    )
    panels = list(dict.fromkeys(zip(rows["base"], rows["source"], strict=True)))
    figure, axes = style.grid(len(panels), 2, 2.5, sharey=True)
    for axis, (base, source) in zip(axes, panels, strict=True):
        part = rows[(rows["base"] == base) & (rows["source"] == source)]
        for number, scheme in enumerate(s for s in style.scheme_order(part["scheme"], roles) if s != roles.single):
            curve = part[part["scheme"] == scheme].sort_values("n_mixed")
            x = curve["n_mixed"].to_numpy(dtype=float) + 0.05 * number
            axis.plot(x, curve["estimate"], color=style.scheme_colour(scheme, roles), linewidth=1.3)
            for place, row in zip(x, curve.to_dict("records"), strict=True):
                for ends in null_bands(metrics, row):
                    axis.fill_between([place - 0.025, place + 0.025], *ends, color=style.BAND, linewidth=0, zorder=1)
                draw_point(axis, place, row, scheme, roles)
        for value in part.loc[part["scheme"] == roles.single, "estimate"]:
            axis.axhline(value, color=style.scheme_colour(roles.single, roles), linestyle="--", linewidth=1.4)
        axis.set_title(f"{style.short(base)} · {style.short(source)}")
        axis.set(xlabel="K, number of mixed sources", ylabel="ECE (lower is better)", xticks=range(2, count + 1))
    style.from_zero(axes)
    line = Line2D(
        [], [], color=style.scheme_colour(roles.single, roles), linestyle="--", label="single model of that source"
    )
    extra = [line] if metrics is None else [line, Patch(color=style.BAND, label=NULL_LABEL)]
    style.legend_below(figure, [*_handles(rows[rows["scheme"] != roles.single], roles), *extra], 4)
    return figure
