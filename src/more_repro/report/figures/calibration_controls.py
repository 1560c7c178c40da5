"""Other reasons for a low ECE: one temperature, and how often pairs were re-used."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.drawing import NULL_LABEL, draw_point, null_bands, scheme_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, data_sets, need, of_base, of_regime, sources_of, whole
from more_repro.report.run_tables import Study
from more_repro.schemes import ALL, MIXTURE, NONE, Roles

_KEY = ["base", "regime", "scheme", "trained_on", "source"]


def temperature_rows(
    seed_summary: pd.DataFrame, metrics: pd.DataFrame, regime: str | None, *, roles: Roles
) -> pd.DataFrame:
    """ECE before and after temperature on all sources pooled, with intervals over seeds and the null band after."""
    rows = of_regime(whole(seed_summary), regime)
    rows = rows[rows["source"].eq(ALL) & rows["scheme"].ne(roles.single) & rows["base"].ne(NONE)]
    rows = rows[rows["estimate"].notna()]
    found = [
        rows.loc[rows["metric"] == metric, [*_KEY, "estimate", "low", "high", "n_seeds"]].rename(
            columns={"estimate": name, "low": f"{name}_low", "high": f"{name}_high"}
        )
        for metric, name in (("ece", "before"), ("ece_after_temperature", "after"))
    ]
    ends = {f"ece_after_temperature_null_{end}": f"null_{end}" for end in ("low", "high")}
    null = metrics.groupby(_KEY, sort=False)[list(ends)].mean().rename(columns=ends).reset_index()
    both = found[0].merge(found[1].drop(columns="n_seeds"), on=_KEY, how="inner")
    return both.merge(null, on=_KEY, how="left")


@style.styled
def temperature(
    seed_summary: pd.DataFrame, metrics: pd.DataFrame, regime: str | None = None, *, roles: Roles
) -> Figure:
    """ECE of every scheme as trained (full) and after one temperature fitted on validation pairs (hollow)."""
    rows = need(temperature_rows(seed_summary, metrics, regime, roles=roles), "no scheme has a temperature")
    schemes = style.scheme_order(rows["scheme"], roles)
    names = bases_of(rows)
    figure, axes = style.grid(len(names), 2, 0.3 * len(schemes) + 0.8, sharex=True, sharey=True)
    for axis, base in zip(axes, names, strict=True):
        for row in of_base(rows, base).to_dict("records"):
            y, colour = -schemes.index(row["scheme"]), style.scheme_colour(row["scheme"], roles)
            axis.barh(y, row["null_high"] - row["null_low"], left=row["null_low"], height=0.75, color=style.BAND)
            axis.annotate(
                "", (row["after"], y), (row["before"], y), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1}
            )
            for name, shift, face in (("before", 0.16, colour), ("after", -0.16, style.CARD)):
                low, high = row[f"{name}_low"], row[f"{name}_high"]
                if np.isfinite(low) and np.isfinite(high):
                    axis.hlines(y + shift, max(low, 0.0), high, color=colour, linewidth=1.2)
                axis.plot(
                    [row[name]],
                    [y + shift],
                    style.scheme_marker(row["scheme"], roles),
                    color=colour,
                    markerfacecolor=face,
                )
        axis.set_yticks([-n for n in range(len(schemes))], [style.scheme_name(s) for s in schemes])
        axis.set_title(f"base {style.short(base)}")
        axis.set(xlabel="ECE, all sources pooled (lower is better)")
        axis.grid(visible=False, axis="y")
    for axis in axes:  # once all are drawn: a limit set earlier would be that of the first panel
        axis.set_xlim(left=0)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=style.MUTED, label="as trained"),
        Line2D(
            [], [], linestyle="", marker="o", color=style.MUTED, markerfacecolor=style.CARD, label="one temperature"
        ),
        Patch(color=style.BAND, label="null band after temperature"),
    ]
    style.legend_below(figure, handles)
    return figure


def reuse_rows(
    seed_summary: pd.DataFrame, mixture_summary: pd.DataFrame, schemes: Sequence[str] | None = None
) -> pd.DataFrame:
    """ECE on each source whose re-use differs between regimes, with a column mean_passes. schemes: None for all."""
    passes = mixture_summary[["regime", "source", "mean_passes"]].assign(
        mean_passes=lambda t: t["mean_passes"].round(1)
    )
    varied = passes.groupby("source")["mean_passes"].transform("nunique") > 1
    rows = data_sets(whole(seed_summary))
    rows = rows[rows["metric"].eq("ece") & rows["trained_on"].eq(MIXTURE) & rows["estimate"].notna()]
    if schemes is not None:
        rows = rows[rows["scheme"].isin(list(schemes))]
    return rows.merge(passes[varied], on=["regime", "source"], how="inner")


@style.styled
def reuse(
    seed_summary: pd.DataFrame,
    mixture_summary: pd.DataFrame,
    schemes: Sequence[str] | None = None,
    metrics: pd.DataFrame | None = None,
    *,
    roles: Roles,
) -> Figure:
    """ECE on small sources against how often training used each of their pairs; regimes are the points of a line.

    schemes: None for all.
    """
    rows = need(
        reuse_rows(seed_summary, mixture_summary, schemes), "no source is re-used more in one regime than another"
    )
    panels = [(base, source) for base in bases_of(rows) for source in sources_of(rows)]
    figure, axes = style.grid(len(panels), 2, 2.3, sharex=True, sharey=True)
    present = style.scheme_order(rows["scheme"], roles)
    for axis, (base, source) in zip(axes, panels, strict=True):
        part = rows[(rows["base"] == base) & (rows["source"] == source)]
        for number, scheme in enumerate(present):
            curve = part[part["scheme"] == scheme].sort_values("mean_passes")
            x = curve["mean_passes"].to_numpy(dtype=float) * 1.04**number  # side by side on the log axis
            axis.plot(x, curve["estimate"], color=style.scheme_colour(scheme, roles), linewidth=1.3)
            for place, row in zip(x, curve.to_dict("records"), strict=True):
                for ends in null_bands(metrics, row):
                    axis.fill_between([place * 0.97, place * 1.03], *ends, color=style.BAND, linewidth=0, zorder=1)
                draw_point(axis, place, row, scheme, roles)
        axis.set_xscale("log", base=2)
        ticks = sorted(set(rows["mean_passes"]))
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_title(f"{style.short(base)} · {style.short(source)}")
        axis.set(ylabel="ECE")
    for axis in axes[-2:]:
        axis.set(xlabel="passes over each pair of the source")
    style.from_zero(axes)
    band = [] if metrics is None else [Patch(color=style.BAND, label=NULL_LABEL)]
    style.legend_below(figure, [*scheme_handles(present, roles), *band])
    return figure


def _reused(s: Study) -> tuple[str, ...]:
    """Schemes of the figure on re-use: multitask, more, and weights by the size of a source."""
    by_size = [name for name, one in s.params.schemes.items() if one.weighting == "proportional"]
    return s.roles.reference, s.roles.method, *by_size


FIGURES = (
    FigureEntry(
        name="temperature",
        title="ECE before and after one temperature",
        section="calibration",
        order=50,
        caption=(
            "Full: as trained; hollow: after the one temperature that fits the validation pairs. Bars: t intervals "
            "over {n_seeds} seeds, cut at 0; grey: null band of the margins so divided; test pairs pooled: "
            "{n_pooled}. What the arrow removes is scale, and best-of-n cannot see it."
        ),
        alt="ECE of each scheme before and after temperature scaling with null band, a panel per base",
        draw=lambda s, r: temperature(s["seed_summary"], s["metrics"], r, roles=s.roles),
        rows=lambda s, r: temperature_rows(s["seed_summary"], s["metrics"], r, roles=s.roles),
    ),
    FigureEntry(
        name="reuse",
        title="ECE against the re-use of small sources",
        section="calibration",
        order=70,
        caption=(
            "Each regime is a point: how often training used every pair of the source, and the ECE on its test pairs. "
            "Bars: t intervals over {n_seeds} seeds; grey: null band; test pairs per source: {n_test}. Regimes may "
            "differ in learning rate too."
        ),
        alt="ECE on re-used sources against passes over their pairs, by scheme",
        draw=lambda s, r: reuse(s["seed_summary"], s["mixture_summary"], _reused(s), s["metrics"], roles=s.roles),
        rows=lambda s, r: reuse_rows(s["seed_summary"], s["mixture_summary"]),
        per_regime=False,
    ),
)
