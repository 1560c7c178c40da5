"""Distributions of margins: Figs 1 middle and right, 8 and 9."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import data_sets, first_seed, labelled, need, of_regime, one_base, whole
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
        limit_to_filled_bins(axis, rows)
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


def limit_to_filled_bins(axis: Axes, rows: pd.DataFrame) -> None:
    """Leave out the empty ends of the common bins."""
    filled = rows[rows["density"] > 0.002 * float(rows["density"].max())]
    if not filled.empty:
        axis.set_xlim(float(filled["bin_low"].min()), float(filled["bin_high"].max()))


FIGURES = (
    FigureEntry(
        name="fig1_middle",
        title="Fig 1 middle: margins of single-source reward models",
        section="disagreement",
        order=20,
        caption=(
            "Reward of chosen minus reward of rejected, a panel for each test source; full colour: the model's own "
            "source. Compare spreads down a panel; the part right of the line is ordered correctly. Seed {seed}; test "
            "pairs per source: {n_test}."
        ),
        alt="Ridge plots of the margin distribution of each single-source reward model on each source",
        draw=lambda s, r: fig1_middle(s["margin_histogram"], r, roles=s.roles),
        rows=lambda s, r: margin_rows(s["margin_histogram"], r, "", singles(s.roles), roles=s.roles),
    ),
    FigureEntry(
        name="fig1_right",
        title="Fig 1 right: margins of correctly and wrongly ordered pairs",
        section="disagreement",
        order=30,
        caption=(
            "The same margins as boxes. A wide box of wrongly ordered pairs: the model is sure of itself where it is "
            "wrong. Seed {seed}; test pairs per source: {n_test}."
        ),
        alt="Box plots of margins, correctly and wrongly ordered pairs apart, per reward model and source",
        draw=lambda s, r: fig1_right(s["margin_boxes"], r, roles=s.roles),
        rows=lambda s, r: margin_rows(s["margin_boxes"], r, "", singles(s.roles), roles=s.roles),
    ),
    FigureEntry(
        name="fig8",
        title="Fig 8: boxes of margins, every base",
        section="calibration",
        order=100,
        caption=(
            "As Fig 1 right, with multitask and more; test pairs per source: {n_test}. Seed {seed}, regime {regime}."
        ),
        alt="Box plots of margins of every reward model, base and source, correct and wrong pairs apart",
        draw=lambda s, r: fig8(s["margin_boxes"], r, roles=s.roles),
        rows=lambda s, r: margin_rows(s["margin_boxes"], r, None, compared(s.roles), roles=s.roles),
        per_regime=False,
    ),
    FigureEntry(
        name="fig9",
        title="Fig 9: distributions of margins, every base",
        section="calibration",
        order=110,
        caption=(
            "As Fig 1 middle, with multitask and more; test pairs per source: {n_test}. Seed {seed}, regime {regime}."
        ),
        alt="Ridge plots of the margin distribution of every reward model, base and source",
        draw=lambda s, r: fig9(s["margin_histogram"], r, roles=s.roles),
        rows=lambda s, r: margin_rows(s["margin_histogram"], r, None, compared(s.roles), roles=s.roles),
        per_regime=False,
    ),
)
