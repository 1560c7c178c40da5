"""What the regression hangs on, and how the printed ECE differences compare with noise."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.figures.alignment import plain
from more_repro.report.row_selection import need
from more_repro.schemes import PAPER, Roles

THIS_RUN = "this run"


def leave_one_out_rows(influence: pd.DataFrame, outcome: str = "net_win") -> pd.DataFrame:
    """Rows of this run and one outcome, by the estimate without each reward model."""
    rows = influence[influence["data"].eq(THIS_RUN) & influence["outcome"].eq(outcome)]
    return rows[rows["estimate_without"].notna()].sort_values("estimate_without", kind="stable")


@style.styled
def leave_one_out(influence: pd.DataFrame, outcome: str = "net_win", *, roles: Roles) -> Figure:
    """The coefficient of ECE without each reward model in turn; right: Cook's distance against leverage."""
    rows = need(leave_one_out_rows(influence, outcome), "no regression of this run")
    figure, (left, right) = style.grid(2, 2, 3.2)
    first = rows.iloc[0]
    if first["low"] == first["low"]:
        left.axhspan(first["low"], first["high"], color=style.BAND, alpha=0.45, linewidth=0)
    left.axhline(first["estimate"], color=style.INK, linewidth=1.1)
    left.axhline(0, color=style.INK, linewidth=0.9, linestyle="--")
    for place, row in enumerate(rows.to_dict("records")):
        marker, colour = style.scheme_marker(row["scheme"], roles), style.scheme_colour(row["scheme"], roles)
        left.plot([place], [row["estimate_without"]], marker, color=colour)
        right.plot([row["leverage"]], [row["cooks_distance"]], marker, color=colour)
    left.set(xlabel="reward model left out, in order", ylabel="coefficient of ECE", xticks=[])
    left.set_title(f"{plain(outcome)} on ECE, n = {int(first['n'])}")
    right.set(xlabel="leverage", ylabel="Cook's distance", ylim=(0, None))
    right.set_title("far right or high: the fit leans on it")
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            color=style.scheme_colour(s, roles),
            marker=style.scheme_marker(s, roles),
            label=style.scheme_name(s),
        )
        for s in style.scheme_order(rows["scheme"], roles)
    ]
    band = Patch(color=style.BAND, alpha=0.45, label="every model: estimate and interval")
    style.legend_below(figure, [*handles, band], 6)
    return figure


def published_rows(published_noise: pd.DataFrame) -> pd.DataFrame:
    """Printed ECE differences of MORE from multitask: Table 1 (two sources) and Table 2 (five)."""
    rows = published_noise[
        published_noise["scheme"].eq(PAPER.method) & published_noise["table"].isin(("table1", "table2"))
    ]
    return rows[rows["difference"].notna()]


@style.styled
def published(published_noise: pd.DataFrame) -> Figure:
    """Printed ECE of MORE less that of multitask, against the differences of two models that are equally calibrated."""
    rows = need(published_rows(published_noise), "no printed ECE difference")
    figure, (axis,) = style.grid(1, 1, 0.34 * len(rows) + 0.5)
    labels = []
    for place, row in enumerate(rows.to_dict("records")):
        axis.barh(-place, row["noise_high"] - row["noise_low"], left=row["noise_low"], height=0.6, color=style.BAND)
        axis.plot(
            [row["difference"]],
            [-place],
            style.scheme_marker(PAPER.method, PAPER),
            color=style.scheme_colour(PAPER.method, PAPER),
        )
        name = row["base"].replace("_", ".")
        labels.append(f"{row['table'].replace('table', 'Table ')} · {style.short(name)} · n = {row['n']:,}")
        text = f"p = {row['p_difference']:.3f} (.8 correlated: {row['p_correlated']:.3f})"
        axis.text(1.01, -place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.axvline(0, color=style.INK, linewidth=0.9, linestyle="--")
    axis.set_yticks([-n for n in range(len(labels))], labels)
    axis.set(xlabel="printed ECE of MORE less that of multitask (left of 0: MORE lower)")
    axis.grid(visible=False, axis="y")
    style.legend_below(figure, [Patch(color=style.BAND, label="chance: two equally calibrated models at this n")])
    return figure
