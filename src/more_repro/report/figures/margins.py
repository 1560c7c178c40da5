"""Distributions of margins: Figs 1 middle and right, 5, 8 and 9."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.row_selection import (
    bases_of,
    data_sets,
    first_seed,
    labelled,
    need,
    of_align,
    of_regime,
    one_base,
    whole,
)
from more_repro.schemes import RAW, Roles

_ORDERINGS = {"correct": (style.SOURCE_COLOURS[0], 0.2), "wrong": (style.SOURCE_COLOURS[1], -0.2)}  # colour, shift


def margin_rows(
    table: pd.DataFrame,
    regime: str | None,
    base: str | None = None,
    schemes: Sequence[str] | None = None,
    *,
    roles: Roles,
) -> pd.DataFrame:
    """Rows of a margin table (histogram or boxes): the lowest seed of each model, data sets only.

    base: None for all bases, "" for the first. schemes: None for all of them.
    """
    rows = data_sets(of_regime(whole(table), regime))
    if schemes is not None:
        rows = rows[rows["scheme"].isin(list(schemes))]
    return labelled(first_seed(rows if base is None else one_base(rows, base or None)), roles)


def singles(roles: Roles) -> tuple[str, ...]:
    """Schemes of Fig 1: the untrained head, and one model for each source."""
    return RAW, roles.single


def compared(roles: Roles) -> tuple[str, ...]:
    """Schemes of Figs 8 and 9: with them, multitask and more."""
    return *singles(roles), roles.reference, roles.method


@style.styled
def fig1_middle(margin_histogram: pd.DataFrame, regime: str | None = None, base: str = "", *, roles: Roles) -> Figure:
    """Distribution of margins of each single-source reward model, one base, one panel for each source."""
    return _ridges(margin_rows(margin_histogram, regime, base, singles(roles), roles=roles), roles)


@style.styled
def fig9(margin_histogram: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """As Fig 1 middle, for every base, with multitask and more."""
    return _ridges(margin_rows(margin_histogram, regime, None, compared(roles), roles=roles), roles)


@style.styled
def fig1_right(margin_boxes: pd.DataFrame, regime: str | None = None, base: str = "", *, roles: Roles) -> Figure:
    """Boxes of margins of each single-source reward model: correctly and wrongly ordered pairs apart."""
    return _boxes(margin_rows(margin_boxes, regime, base, singles(roles), roles=roles))


@style.styled
def fig8(margin_boxes: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """As Fig 1 right, for every base, with multitask and more."""
    return _boxes(margin_rows(margin_boxes, regime, None, compared(roles), roles=roles))


def fig5_rows(
    margin_histogram: pd.DataFrame, regime: str | None, align_sources: Sequence[str] | None = None, *, roles: Roles
) -> pd.DataFrame:
    """Rows of Fig 5: multitask, more, and the single model of the same source."""
    schemes = (roles.single, roles.reference, roles.method)
    rows = of_align(margin_rows(margin_histogram, regime, None, schemes, roles=roles), align_sources)
    return rows[(rows["scheme"] != roles.single) | (rows["trained_on"] == rows["source"])]


@style.styled
def fig5(
    margin_histogram: pd.DataFrame,
    regime: str | None = None,
    align_sources: Sequence[str] | None = None,
    *,
    roles: Roles,
) -> Figure:
    """Margins of single, multitask and more on the sources that policies are aligned on."""
    rows = need(
        fig5_rows(margin_histogram, regime, align_sources, roles=roles), "no margins of single, multitask or more"
    )
    panels = [(b, s) for b in bases_of(rows) for s in dict.fromkeys(rows["source"])]
    figure, axes = style.grid(len(panels), 2, 2.3, sharex=True)
    for place, (axis, (base, source)) in enumerate(zip(axes, panels, strict=True)):
        part = rows[(rows["base"] == base) & (rows["source"] == source)]
        for scheme in style.scheme_order(part["scheme"], roles):
            curve = part[part["scheme"] == scheme].sort_values("bin_low")
            edges = [*curve["bin_low"], curve["bin_high"].iloc[-1]]
            axis.stairs(
                curve["density"],
                edges,
                color=style.scheme_colour(scheme, roles),
                linewidth=1.8,
                label=style.scheme_label(scheme),
            )
            axis.stairs(curve["density"], edges, color=style.scheme_colour(scheme, roles), fill=True, alpha=0.1)
        axis.axvline(0, color=style.INK, linewidth=0.9)
        _limit(axis, rows)
        axis.set_title(f"{style.short(base)} · {style.short(source)}")
        axis.set(ylabel="density", ylim=(0, None))
        if place >= len(panels) - 2:
            axis.set(xlabel="margin (right of 0: ordered correctly)")
    style.legend_below(figure, _handles(rows["scheme"], roles))
    return figure


def _ridges(rows: pd.DataFrame, roles: Roles) -> Figure:
    need(rows, "no margins of single-source reward models")
    models = list(dict.fromkeys(rows["model"]))
    panels = list(dict.fromkeys(zip(rows["base"], rows["source"], strict=True)))
    figure, axes = style.grid(len(panels), 5, 0.34 * len(models) + 0.75, sharex=True, sharey=True)
    for axis, (base, source) in zip(axes, panels, strict=True):
        part = rows[(rows["base"] == base) & (rows["source"] == source)]
        for level, model in enumerate(reversed(models)):
            curve = part[part["model"] == model].sort_values("bin_low")
            if curve.empty:
                continue
            colour = style.scheme_colour(curve["scheme"].iloc[0], roles)
            own = curve["trained_on"].iloc[0] == source
            top = max(float(curve["density"].max()), 1e-9)
            centre = (curve["bin_low"] + curve["bin_high"]) / 2
            axis.fill_between(
                centre,
                level,
                level + 0.86 * curve["density"] / top,
                color=colour,
                alpha=0.75 if own or curve["scheme"].iloc[0] != roles.single else 0.35,
                linewidth=0,
            )
            axis.plot(centre, level + 0.86 * curve["density"] / top, color=colour, linewidth=1.0)
        axis.axvline(0, color=style.INK, linewidth=0.9)
        _limit(axis, rows)
        _model_axis(axis, models, 0.3, base, source)
    figure.supxlabel("margin (right of 0: ordered correctly); each curve has its own height", fontsize=9)
    return figure


def _boxes(rows: pd.DataFrame) -> Figure:
    need(rows, "no margin boxes of single-source reward models")
    models = list(dict.fromkeys(rows["model"]))
    panels = list(dict.fromkeys(zip(rows["base"], rows["source"], strict=True)))
    figure, axes = style.grid(len(panels), 5, 0.34 * len(models) + 0.75, sharex=True, sharey=True)
    level = {model: place for place, model in enumerate(reversed(models))}
    for axis, (base, source) in zip(axes, panels, strict=True):
        part = rows[(rows["base"] == base) & (rows["source"] == source)]
        for ordering, (colour, shift) in _ORDERINGS.items():
            boxes = part[part["ordering"] == ordering]
            y = boxes["model"].map(level).to_numpy(dtype=float) + shift
            axis.hlines(y, boxes["whisker_low"], boxes["whisker_high"], color=colour, linewidth=1.1)
            axis.barh(y, boxes["q3"] - boxes["q1"], left=boxes["q1"], height=0.32, color=colour, alpha=0.8)
            axis.vlines(boxes["median"], y - 0.16, y + 0.16, color=style.INK, linewidth=1.4)
        axis.axvline(0, color=style.INK, linewidth=0.9)
        _model_axis(axis, models, 0.0, base, source)
        axis.set_ylim(-0.6, len(models) - 0.4)
    handles = [Patch(color=colour, label=f"{ordering}ly ordered pairs") for ordering, (colour, _) in _ORDERINGS.items()]
    title = "margin: box = middle half, line = median, whiskers = 1.5 interquartile ranges"
    style.legend_below(figure, handles, title=title)
    return figure


def _model_axis(axis: Axes, models: list[str], offset: float, base: str, source: str) -> None:
    axis.set_yticks([n + offset for n in range(len(models))], [style.short(m) for m in reversed(models)])
    axis.set_title(f"{style.short(base, 12)} · {style.short(source, 14)}", fontsize=8.5)
    axis.grid(visible=False, axis="y")
    axis.locator_params(axis="x", nbins=4)


def _limit(axis: Axes, rows: pd.DataFrame) -> None:
    """Leave out the empty ends of the common bins."""
    filled = rows[rows["density"] > 0.002 * float(rows["density"].max())]
    if not filled.empty:
        axis.set_xlim(float(filled["bin_low"].min()), float(filled["bin_high"].max()))


def _handles(schemes: pd.Series, roles: Roles) -> list[Patch]:
    return [
        Patch(color=style.scheme_colour(s, roles), label=style.scheme_label(s))
        for s in style.scheme_order(schemes, roles)
    ]
