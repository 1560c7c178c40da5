"""Calibration against the number of mixed sources (Fig 6)."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.drawing import NULL_LABEL, draw_point, null_bands, scheme_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, need, of_regime, sources_of, subset_size
from more_repro.report.run_tables import Study
from more_repro.schemes import Roles, is_first_k


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
        for number, scheme in enumerate(_without_single(part, roles)):
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
    style.legend_below(figure, [*scheme_handles(_without_single(rows, roles), roles, 1.4), *extra], 4)
    return figure


def _without_single(rows: pd.DataFrame, roles: Roles) -> list[str]:
    return [scheme for scheme in style.scheme_order(rows["scheme"], roles) if scheme != roles.single]


def _k(s: Study) -> int:
    return len(s.params.sources)


FIGURES = (
    FigureEntry(
        name="fig6",
        title="Fig 6: ECE against the number of mixed sources",
        section="calibration",
        order=90,
        caption=(
            "Reward models of the first K sources, means over {n_seeds} seeds with t intervals, cut at 0. Dashed: the "
            "single model of that source; grey: null band; test pairs per source: {n_test}. With K = 2 and "
            "l2-normalised head gradients the min-norm weights are 1/2 each, so MORE equals multitask there. K and "
            "the re-use of small sources can grow together: see how often each pair is used."
        ),
        alt="ECE against K for multitask and more on each alignment source, with intervals over seeds",
        draw=lambda s, r: fig6(s["seed_summary"], r, _k(s), s["metrics"], roles=s.roles),
        rows=lambda s, r: fig6_rows(s["seed_summary"], r, _k(s), roles=s.roles),
    ),
)
