"""Where calibration fails, and by how much: reliability diagrams, slopes, over-confidence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, need, of_base, of_regime, whole
from more_repro.schemes import ALIGN, ALL, NONE, RAW, Roles


def reliability_rows(
    table: pd.DataFrame, regime: str | None, base: str | None = None, source: str | None = None, *, roles: Roles
) -> pd.DataFrame:
    """Rows of the reliability diagrams: schemes of every base, or of the named one, on one source ("all" if there)."""
    rows = of_regime(whole(table), regime)
    rows = rows[(rows["scheme"] != roles.single) & (rows["base"] != NONE)]
    rows = of_base(rows, base) if base else rows
    there = list(dict.fromkeys(rows["source"]))
    wanted = [source] if source else [*(s for s in (ALL, ALIGN) if s in there), *there]
    return rows[rows["source"] == wanted[0]] if wanted else rows


@style.styled
def reliability(
    table: pd.DataFrame,
    regime: str | None = None,
    base: str | None = None,
    source: str | None = None,
    *,
    roles: Roles,
) -> Figure:
    """Accuracy against confidence with null band and number of pairs in each bin; a panel per base and scheme."""
    rows = need(
        reliability_rows(table, regime, base, source, roles=roles), "no reliability bins of a mixed reward model"
    )
    # A raw head's confidences lie in one bin or two, which would set the scale of the counts for all.
    schemes = [s for s in style.scheme_order(rows["scheme"], roles) if s != RAW] or [RAW]
    rows = rows[rows["scheme"].isin(schemes) & (rows["n_pairs"] > 0)]
    panels = [(b, s) for b in bases_of(rows) for s in schemes if (of_base(rows, b)["scheme"] == s).any()]
    figure, axes = style.grid(len(panels), 4, 2.1, sharex=True, sharey=True)
    most = float(rows["n_pairs"].max())
    # A bin far below one half must not be cut off, nor hide behind the counts.
    foot = min(0.3, float(np.floor(10 * rows["accuracy"].min()) / 10) - 0.2)
    for axis, (name, scheme) in zip(axes, panels, strict=True):
        part = of_base(rows, name)
        _panel(axis, part[part["scheme"] == scheme], scheme, most, foot, roles)
        axis.set_title(f"{style.short(name, 12)} · {style.short(style.scheme_name(scheme), 18)}", fontsize=8.5)
        axis.set(
            xlim=(0.5, 1.0),
            ylim=(foot, 1.02),
            xticks=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            yticks=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        )
        axis.tick_params(axis="x", labelsize=7.5)
    named = _POOLED.get(str(rows["source"].iloc[0]), style.short(str(rows["source"].iloc[0])))
    figure.suptitle(named[0].upper() + named[1:], x=0.0, ha="left", fontweight="bold")
    figure.supxlabel("confidence (grey: null band; bars and numbers: pairs in the bin, lowest seed)", fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    return figure


def _panel(axis: Axes, part: pd.DataFrame, scheme: str, most: float, foot: float, roles: Roles) -> None:
    """Points of every seed; null band and counts, drawn from the foot in shares of the largest, of the lowest seed."""
    lowest = part[part["seed"] == part["seed"].min()].sort_values("bin_low")
    axis.plot([0.5, 1], [0.5, 1], color=style.MUTED, linewidth=0.9)
    axis.vlines(lowest["mean_confidence"], lowest["null_low"], lowest["null_high"], color=style.BAND, linewidth=9)
    axis.bar(
        lowest["bin_low"],
        0.15 * lowest["n_pairs"] / most,
        width=lowest["bin_high"] - lowest["bin_low"],
        bottom=foot,
        align="edge",
        color=style.scheme_colour(scheme, roles),
        alpha=0.3,
        edgecolor=style.CARD,
    )
    for row in lowest.to_dict("records"):
        axis.text((row["bin_low"] + row["bin_high"]) / 2, foot + 0.01, f"{row['n_pairs']}", ha="center", fontsize=6.5)
    for seed, curve in part.groupby("seed", sort=True):
        axis.plot(
            curve["mean_confidence"],
            curve["accuracy"],
            style.scheme_marker(scheme, roles),
            markersize=4.5,
            color=style.scheme_colour(scheme, roles),
            alpha=1.0 if seed == part["seed"].min() else 0.45,
        )


def slope_rows(
    seed_summary: pd.DataFrame,
    regime: str | None,
    source: str = ALL,
    metrics: Sequence[str] = ("slope", "overconfidence"),
    *,
    roles: Roles,
) -> pd.DataFrame:
    rows = of_regime(whole(seed_summary), regime)
    rows = rows[(rows["source"] == source) & rows["metric"].isin(list(metrics)) & (rows["scheme"] != roles.single)]
    return rows[rows["estimate"].notna() & (rows["base"] != NONE)]


@style.styled
def slopes(
    seed_summary: pd.DataFrame,
    regime: str | None = None,
    source: str = ALL,
    metrics: Sequence[str] = ("slope", "overconfidence"),
    *,
    roles: Roles,
) -> Figure:
    """Calibration slope and over-confidence of every scheme, base and regime, with intervals over seeds."""
    rows = need(
        slope_rows(seed_summary, regime, source, metrics, roles=roles), f"no calibration slope on source {source!r}"
    )
    # Raw heads have a slope of noise over noise, which would set the scale for all.
    shown = rows[rows["scheme"] != RAW] if (rows["scheme"] != RAW).any() else rows
    labels = _labels(shown, roles)
    figure, axes = style.grid(len(metrics), 2, 0.25 * len(labels) + 0.8, sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        for row in shown[shown["metric"] == metric].to_dict("records"):
            y, colour = (
                -labels.index((row["regime"], row["base"], row["scheme"])),
                style.scheme_colour(row["scheme"], roles),
            )
            if np.isfinite(row["low"]) and np.isfinite(row["high"]):
                axis.hlines(y, row["low"], row["high"], color=colour)
            axis.plot([row["estimate"]], [y], style.scheme_marker(row["scheme"], roles), color=colour)
        axis.axvline(1.0 if metric == "slope" else 0.0, color=style.INK, linewidth=0.9, linestyle="--")
        axis.set(xlabel=_AXES.get(metric, metric))
        axis.set_yticks([-n for n in range(len(labels))], [_name(label, labels) for label in labels])
        axis.set_ylim(0.6 - len(labels), 0.6)
    return figure


_POOLED = {ALL: "all sources pooled", ALIGN: "alignment sources pooled"}
_AXES = {
    "slope": "calibration slope (1: calibrated; below: over-confident)",
    "overconfidence": "mean confidence − accuracy (0: calibrated)",
}


def _labels(rows: pd.DataFrame, roles: Roles) -> list[tuple[str, str, str]]:
    present = set(zip(rows["regime"], rows["base"], rows["scheme"], strict=True))
    schemes = style.scheme_order(rows["scheme"], roles)
    regimes = list(dict.fromkeys(rows["regime"]))
    return [(r, b, s) for r in regimes for b in bases_of(rows) for s in schemes if (r, b, s) in present]


def _name(label: tuple[str, str, str], labels: list[tuple[str, str, str]]) -> str:
    regime, base, scheme = (style.short(part, 18) for part in (*label[:2], style.scheme_name(label[2])))
    several = len({other[0] for other in labels}) > 1
    return f"{regime} · {base} · {scheme}" if several else f"{base} · {scheme}"


FIGURES = (
    FigureEntry(
        name="reliability",
        title="Reliability diagrams",
        section="calibration",
        order=30,
        caption=(
            "A panel for each base and scheme. Points below the diagonal: more confident than right. Full points and "
            "counts: seed {seed}, pale: the others. Raw heads are left out."
        ),
        alt="Accuracy against confidence in bins for each scheme, with null band and counts",
        draw=lambda s, r: reliability(s["reliability"], r, roles=s.roles),
        rows=lambda s, r: reliability_rows(s["reliability"], r, roles=s.roles),
    ),
    FigureEntry(
        name="slopes",
        title="Calibration slope and over-confidence",
        section="calibration",
        order=40,
        caption=(
            "One number for the direction of the error, test pairs of all sources pooled ({n_pooled}). Slope below 1, "
            "or a positive gap: margins too large (over-rewarding). Bars: t intervals over {n_seeds} seeds; a slope "
            "that is not defined in a seed leaves it out, the data has how many are left."
        ),
        alt="Calibration slope and over-confidence of each scheme and base with intervals",
        draw=lambda s, r: slopes(s["seed_summary"], r, roles=s.roles),
        rows=lambda s, r: slope_rows(s["seed_summary"], r, roles=s.roles),
    ),
)
