"""Policies against each other: each scheme's duel with multitask, ours and printed, and the ranking of all policies."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from more_repro.evaluation.paper import printed_numbers
from more_repro.report import style
from more_repro.report.drawing import policy_handles, policy_mark
from more_repro.report.entries import FigureEntry
from more_repro.report.paper_tables.paper import THIS_RUN
from more_repro.report.row_selection import bases_of, need, of_regime
from more_repro.schemes import ALIGN, ALL, MIXTURE, NONE, PAPER, Roles

_KEY = ["base", "regime", "scheme"]


def duel_rows(
    scheme_duels: pd.DataFrame, seed_summary: pd.DataFrame, printed: pd.DataFrame, regime: str | None, *, roles: Roles
) -> pd.DataFrame:
    """Net win of each scheme's policies against multitask's, with the difference of their reward models' ECE.

    [data, base, scheme, ece_difference, win, tie, lose, net, net_low, net_high, n_seeds, n_prompts]; ECE is that of
    "align", mean over seeds. printed: published Table 1, whose duels have no interval and no n. No rows without ours.
    """
    rows = of_regime(scheme_duels, regime)
    rows = rows[(rows["source"] == ALL) & (rows["against"] == roles.reference)].assign(data=THIS_RUN)
    ece = seed_summary[seed_summary["metric"].eq("ece") & seed_summary["source"].eq(ALIGN)]
    ece = ece.loc[ece["trained_on"].eq(MIXTURE), [*_KEY, "estimate"]]
    other = ece[ece["scheme"] == roles.reference].drop(columns="scheme").rename(columns={"estimate": "other"})
    rows = rows.merge(ece, on=_KEY, how="left").merge(other, on=["base", "regime"], how="left")
    ours = rows.assign(ece_difference=rows["estimate"] - rows["other"])
    columns = ["data", "base", "scheme", "ece_difference", "win", "tie", "lose", "net", "net_low", "net_high"]
    parts = [ours.reindex(columns=[*columns, "n_seeds", "n_prompts"])]
    if len(ours) and len(printed):
        wide = printed[printed["base"] != NONE].pivot(index="base", columns="scheme", values="ece")  # noqa: PD010
        told = printed[printed["win"].notna()]
        told = told.assign(
            data="published: " + told["base"], net=told["win"] - told["lose"],
            ece_difference=told["base"].map(wide[PAPER.method] - wide[PAPER.reference]),
        )  # fmt: skip
        parts.append(told.reindex(columns=columns))
    return pd.concat(parts, ignore_index=True)


@style.styled
def duels(
    scheme_duels: pd.DataFrame,
    seed_summary: pd.DataFrame,
    printed: pd.DataFrame,
    regime: str | None = None,
    *,
    roles: Roles,
) -> Figure:
    """Net win against multitask's policy, against the ECE of the reward model less that of multitask's.

    Filled by base: this run, with the interval over prompts. Hollow diamonds: the printed duels of MORE.
    """
    rows = duel_rows(scheme_duels, seed_summary, printed, regime, roles=roles)
    rows = need(rows[rows["ece_difference"].notna()], "no policy of another scheme met that of multitask")
    figure, (axis,) = style.grid(1, 1, 3.6)
    ours = rows[rows["data"] == THIS_RUN]
    for row in ours.to_dict("records"):
        axis.vlines(
            row["ece_difference"], row["net_low"], row["net_high"], color=style.scheme_colour(row["scheme"], roles),
            alpha=0.45, linewidth=1.3,
        )  # fmt: skip
        policy_mark(axis, row["ece_difference"], row["net"], row, bases_of(ours), roles)
    theirs = rows[rows["data"] != THIS_RUN]
    _printed_points(axis, theirs)
    for line in (axis.axhline, axis.axvline):
        line(0, color=style.INK, linewidth=0.9, linestyle="--")
    axis.set(
        xlabel="ECE of the reward model less that of multitask (left of 0: better calibrated)",
        ylabel="win − lose against multitask's policy",
    )
    hollow = Line2D([], [], linestyle="", marker="D", markerfacecolor="none", color=style.INK, label="printed, MORE")
    style.legend_below(figure, [*policy_handles(ours, roles), *([hollow] if len(theirs) else [])], 4)
    return figure


def _printed_points(axis: Axes, rows: pd.DataFrame) -> None:
    """With their bases' names, in turn at the right and at the left: printed points nearly meet."""
    for place, row in enumerate(rows.sort_values("net").to_dict("records")):
        axis.plot([row["ece_difference"]], [row["net"]], "D", color=style.INK, markerfacecolor="none", markersize=7)
        shift, side = ((8, "left"), (-8, "right"))[place % 2]
        name = style.short(str(row["base"]).replace("_", "."))
        axis.annotate(
            name, (row["ece_difference"], row["net"]), xytext=(shift, 0), textcoords="offset points", fontsize=8,
            ha=side, va="center",
        )  # fmt: skip


def ranking_rows(ranking: pd.DataFrame, regime: str | None) -> pd.DataFrame:
    """Policies on all prompts, the strongest base and scheme (mean over seeds) first."""
    rows = of_regime(ranking, regime)
    rows = rows[rows["source"] == ALL]
    mean = rows.groupby(["base", "scheme"])["strength"].transform("mean")
    return (
        rows.assign(mean=mean).sort_values(["mean", "base", "seed"], ascending=[False, True, True]).drop(columns="mean")
    )


@style.styled
def ranking(table: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """Strength of every policy with its interval over prompts, a row per base and scheme, a point per seed."""
    rows = need(ranking_rows(table, regime), "no policies were compared")
    keys = list(dict.fromkeys(zip(rows["base"], rows["scheme"], strict=True)))
    figure, (axis,) = style.grid(1, 1, 0.27 * len(keys) + 0.6)
    for level, (base, scheme) in enumerate(keys):
        group = rows[(rows["base"] == base) & (rows["scheme"] == scheme)].to_dict("records")
        for number, row in enumerate(group):
            y, colour = -level - 0.22 * (number - (len(group) - 1) / 2), style.scheme_colour(scheme, roles)
            axis.hlines(y, row["strength_low"], row["strength_high"], color=colour, alpha=0.6, linewidth=1.2)
            axis.plot([row["strength"]], [y], style.scheme_marker(scheme, roles), color=colour, markersize=4.5)
        low, high = (int(end(row[name] for row in group)) for end, name in ((min, "rank_low"), (max, "rank_high")))
        text = f"rank {low}" if low == high else f"ranks {low}–{high}"
        axis.text(1.01, -level, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    names = [style.short(style.scheme_name(scheme), 26) for _, scheme in keys]
    labels = [n if b == NONE else f"{style.short(b, 14)} · {n}" for n, (b, _) in zip(names, keys, strict=True)]
    axis.set_yticks([-n for n in range(len(keys))], labels)
    axis.axvline(0, color=style.INK, linewidth=0.9, linestyle="--")
    axis.set(xlabel="Bradley-Terry strength in logits (0: the mean of all policies)", ylim=(0.3 - len(keys), 0.7))
    axis.set_title(f"{len(np.unique(table['policy']))} policies of all regimes, {_sizes(rows)}")
    axis.grid(visible=False, axis="y")
    return figure


def _sizes(rows: pd.DataFrame) -> str:
    low, high = int(rows["n_prompts"].min()), int(rows["n_prompts"].max())
    return f"n = {low:,} prompts" if low == high else f"n = {low:,} to {high:,} prompts"


def _printed() -> pd.DataFrame:
    return printed_numbers.table1(printed_numbers.load())


FIGURES = (
    FigureEntry(
        name="duels",
        title="Duels with multitask, ours and printed",
        section="alignment",
        order=20,
        caption=(
            "Policies of one scheme against those of multitask of the same base, all seeds of a scheme together: wins "
            "minus losses on {n_judged} prompts with the interval over prompts, and how much lower the ECE of the "
            "reward model is. Hollow: Table 1 of the paper, whose number of prompts is not printed, so without "
            "interval; its ECE is the mean of two sources, ours that of both pooled. Upper left: better calibrated "
            "and preferred."
        ),
        alt="Net win of each scheme against multitask by difference in ECE, with the printed duels of MORE",
        draw=lambda s, r: duels(s["scheme_duels"], s.every("seed_summary"), _printed(), r, roles=s.roles),
        rows=lambda s, r: duel_rows(s["scheme_duels"], s.every("seed_summary"), _printed(), r, roles=s.roles),
    ),
    FigureEntry(
        name="ranking",
        title="Ranking of all policies",
        section="alignment",
        order=40,
        caption=(
            "Bradley-Terry strength from all comparisons that were judged, a tie half a win each; a point per seed, "
            "its interval over prompts, the whole span of its seeds' rank intervals at the right. Where spans "
            "overlap, these prompts do not tell the policies apart; another seed may differ by more than an interval "
            "shows."
        ),
        alt="Forest plot of the strength of every policy with intervals and ranks",
        draw=lambda s, r: ranking(s["ranking"], r, roles=s.roles),
        rows=lambda s, r: ranking_rows(s["ranking"], r),
    ),
)
