"""Accuracy and calibration of every scheme on every source: Figs 3 and 4."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.drawing import NULL_LABEL, draw_point, scheme_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, data_sets, need, of_base, of_regime, sources_of, whole
from more_repro.schemes import ALIGN, ALL, LENGTH, MEAN, NONE, TOP, Roles


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


def _handles(rows: pd.DataFrame, roles: Roles) -> list[Line2D]:
    return scheme_handles([s for s in style.scheme_order(rows["scheme"], roles) if s != LENGTH], roles, 1.4)


FIGURES = (
    FigureEntry(
        name="fig3",
        title="Fig 3: accuracy of every scheme",
        section="calibration",
        order=10,
        caption=(
            "Means over {n_seeds} seeds, bars t intervals over seeds; test pairs per source: {n_test}. Dashed: the "
            "length rule, grey its interval over prompts."
        ),
        alt="Accuracy of each scheme on each source and on their mean, a panel per base",
        draw=lambda s, r: fig3(s["seed_summary"], s["metrics"], r, roles=s.roles),
        rows=lambda s, r: summary_rows(s["seed_summary"], "accuracy", r, roles=s.roles),
    ),
    FigureEntry(
        name="fig4",
        title="Fig 4: ECE of every scheme",
        section="calibration",
        order=20,
        caption=(
            "Means over {n_seeds} seeds, bars t intervals over seeds, cut at 0; test pairs per source: {n_test}. "
            "Grey: the ECE that a perfectly calibrated model of equal confidences shows at this number of pairs (the "
            "mean has none), for one model, while a point is a mean over seeds. A point inside cannot be told from "
            "calibrated."
        ),
        alt="ECE of each scheme on each source and on their mean with null bands, a panel per base",
        draw=lambda s, r: fig4(s["seed_summary"], s["metrics"], r, roles=s.roles),
        rows=lambda s, r: summary_rows(s["seed_summary"], "ece", r, roles=s.roles),
    ),
)
