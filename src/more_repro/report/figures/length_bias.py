"""How much a reward model leans on the length of responses."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from more_repro.evaluation.metrics.length_bias import EXCESS
from more_repro.report import style
from more_repro.report.drawing import draw_point, scheme_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, data_sets, first_seed, need, of_base, of_regime, sources_of, whole
from more_repro.schemes import LENGTH, TOP, Roles


def length_rows(length_bias: pd.DataFrame, regime: str | None, *, roles: Roles) -> pd.DataFrame:
    """How much more each model expects the longer response to win than the labels say: lowest seed.

    Single models on their own source, as `top`.
    """
    rows = of_regime(whole(length_bias), regime)
    rows = data_sets(rows[rows["statistic"].eq(EXCESS) & rows["scheme"].ne(LENGTH)])
    rows = rows[(rows["scheme"] != roles.single) | (rows["trained_on"] == rows["source"])]
    return first_seed(rows.assign(scheme=rows["scheme"].where(rows["scheme"] != roles.single, TOP)))


@style.styled
def length(length_bias: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """Mean probability that the longer response is preferred, less the share of pairs in which it is the chosen one."""
    rows = need(length_rows(length_bias, regime, roles=roles), "no reward model stands beside the length rule")
    sources = sources_of(rows)
    figure, axes = style.grid(len(bases_of(rows)), 1, 2.6, sharey=True)
    schemes = style.scheme_order(rows["scheme"], roles)
    for axis, base in zip(axes, bases_of(rows), strict=True):
        part = of_base(rows, base)
        for place, source in enumerate(sources):
            for number, scheme in enumerate(schemes):
                one = part[(part["scheme"] == scheme) & (part["source"] == source)]
                x = place - 0.4 + (number + 0.5) * 0.8 / len(schemes)
                for row in one.to_dict("records"):
                    draw_point(axis, x, row, scheme, roles)
        for place in range(1, len(sources), 2):
            axis.axvspan(place - 0.5, place + 0.5, color="#f1f3f6", zorder=0)
        axis.axhline(0.0, color=style.INK, linewidth=1.0, linestyle="--")
        axis.set_xticks(range(len(sources)), [style.short(source, 16) for source in sources])
        axis.set(ylabel="leans to the longer", xlim=(-0.5, len(sources) - 0.5))
        axis.set_title(f"base {style.short(base)}")
        axis.grid(visible=False, axis="x")
    line = Line2D([], [], color=style.INK, linestyle="--", linewidth=1.0, label="as the labels do")
    style.legend_below(figure, [*scheme_handles(schemes, roles), line], 4)
    return figure


FIGURES = (
    FigureEntry(
        name="length_bias",
        title="Rewards and the length of responses",
        section="calibration",
        order=60,
        caption=(
            "Mean probability, by the model, that the longer response is preferred, less the share of pairs in which "
            "it was chosen; bars: interval of this paired difference, clustered by prompt. Above 0 a model leans on "
            "length more than the labels do, below less. Pairs of equal length are left out. Single models on their "
            "own source. Seed {seed}; test pairs per source: {n_test}; a table below has the correlations."
        ),
        alt="How much more each scheme expects the longer response to win than the labels say, by source and base",
        draw=lambda s, r: length(s["length_bias"], r, roles=s.roles),
        rows=lambda s, r: length_rows(s["length_bias"], r, roles=s.roles),
    ),
)
