"""Alignment against calibration: the regression, what it hangs on, and what it could have seen."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.drawing import plain, policy_handles, policy_mark
from more_repro.report.entries import FigureEntry
from more_repro.report.figures.policies import fig7_rows
from more_repro.report.paper_tables.paper import THIS_RUN
from more_repro.report.row_selection import bases_of, need
from more_repro.schemes import UNTUNED, Roles


@style.styled
def regression(influence: pd.DataFrame, outcome: str = "net_win", *, roles: Roles) -> Figure:
    """Partial plot of this run: outcome against ECE, both without what accuracy and the group (base, regime) explain.

    influence: the table "influence", whose partial values they are.
    """
    rows = influence[influence["data"].eq(THIS_RUN) & influence["outcome"].eq(outcome)]
    rows = need(rows, "no reward model aligned a policy")
    if len(rows) < 4:
        raise style.NotMeasured(f"{len(rows)} aligned reward models are too few for a partial plot")
    x, y = (rows[name].to_numpy(dtype=float) for name in ("partial_term", "partial_outcome"))
    figure, (axis,) = style.grid(1, 1, 3.6)
    for place, row in enumerate(rows.to_dict("records")):
        policy_mark(axis, float(x[place]), float(y[place]), row, bases_of(rows), roles)
    if float(x @ x) > 1e-12:
        ends = np.array([x.min(), x.max()])
        axis.plot(ends, ends * float(x @ y) / float(x @ x), color=style.INK, linewidth=1.1, linestyle="--")
    for line in (axis.axhline, axis.axvline):
        line(0, color=style.MUTED, linewidth=0.7)
    axis.set(
        xlabel="ECE of the reward model (what accuracy, base and regime leave unexplained)",
        ylabel=f"{plain(outcome)} of the policy (likewise)",
    )
    axis.set_title(f"n = {len(rows)} reward models; dashed: least squares, its interval is among the coefficients")
    style.legend_below(figure, policy_handles(rows, roles), 6)
    return figure


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


@style.styled
def power(table: pd.DataFrame) -> Figure:
    """Chance that the primary test finds an effect of a given size, by simulation of this design."""
    rows = need(table, "no power simulation").sort_values("effect")
    figure, (axis,) = style.grid(1, 1, 2.7)
    axis.fill_between(rows["effect"], rows["low"], rows["high"], color=style.BAND, linewidth=0)
    axis.plot(rows["effect"], rows["power"], "o-", color=style.ACCENT)
    for level, text in ((0.8, "0.8, the usual aim"), (0.05, "0.05, the test's size")):
        axis.axhline(level, color=style.INK, linewidth=0.8, linestyle=":")
        axis.text(float(rows["effect"].max()), level + 0.02, text, ha="right", fontsize=8, color=style.MUTED)
    axis.set(xlabel="true effect (standard deviations within a group)", ylabel="power", ylim=(0, 1.03))
    axis.set_title(f"n = {int(rows['n'].max())} reward models; band: simulation error")
    return figure


FIGURES = (
    FigureEntry(
        name="regression",
        title="Alignment against calibration, at equal accuracy",
        section="alignment",
        order=60,
        caption=(
            "Partial plot of the regression: net win over the untuned policy and ECE, both without what accuracy, "
            "base and regime explain. A falling line: at equal accuracy a lower ECE goes with more wins. All regimes."
        ),
        alt="Partial regression plot of net win on ECE",
        draw=lambda s, r: regression(s["influence"], roles=s.roles),
        rows=lambda s, r: fig7_rows(s["win_rates"], s["metrics"], None, UNTUNED),
        per_regime=False,
    ),
    FigureEntry(
        name="leave_one_out",
        title="Reward models that the regression hangs on",
        section="alignment",
        order=80,
        caption=(
            "Left: the coefficient of ECE on net win, accuracy held, without each reward model in turn; line and "
            "grey: with all of them. Right: one point a model. A verdict that one model turns is none."
        ),
        alt="Leave-one-out coefficients of ECE, and Cook's distance against leverage",
        draw=lambda s, r: leave_one_out(s["influence"], roles=s.roles),
        rows=lambda s, r: leave_one_out_rows(s["influence"]),
        per_regime=False,
    ),
    FigureEntry(
        name="power",
        title="What the regression could have seen",
        section="alignment",
        order=100,
        caption=(
            "Share of simulated studies of this size in which the primary test finds an effect of the size on the "
            "axis. What lies below the upper dotted line could well have been missed."
        ),
        alt="Power of the permutation test against the effect size",
        draw=lambda s, r: power(s["power"]),
        rows=lambda s, r: s["power"],
        per_regime=False,
    ),
)
