"""Margins of single, multitask and more on the sources that policies are aligned on (Fig 5)."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.figures.margins import limit_to_filled_bins, margin_rows
from more_repro.report.row_selection import bases_of, need, of_align
from more_repro.report.run_tables import Study
from more_repro.schemes import Roles


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
        limit_to_filled_bins(axis, rows)
        axis.set_title(f"{style.short(base)} · {style.short(source)}")
        axis.set(ylabel="density", ylim=(0, None))
        if place >= len(panels) - 2:
            axis.set(xlabel="margin (right of 0: ordered correctly)")
    style.legend_below(figure, _handles(rows["scheme"], roles))
    return figure


def _handles(schemes: pd.Series, roles: Roles) -> list[Patch]:
    return [
        Patch(color=style.scheme_colour(s, roles), label=style.scheme_label(s))
        for s in style.scheme_order(schemes, roles)
    ]


def _align(s: Study) -> tuple[str, ...]:
    return s.params.align.sources


FIGURES = (
    FigureEntry(
        name="fig5",
        title="Fig 5: margins on the alignment sources",
        section="calibration",
        order=80,
        caption=(
            "The wider the curve, the larger the rewards that the scheme learned. Seed {seed}; test pairs per source: "
            "{n_test}."
        ),
        alt="Histograms of margins of single, multitask and more on the alignment sources",
        draw=lambda s, r: fig5(s["margin_histogram"], r, _align(s), roles=s.roles),
        rows=lambda s, r: fig5_rows(s["margin_histogram"], r, _align(s), roles=s.roles),
    ),
)
