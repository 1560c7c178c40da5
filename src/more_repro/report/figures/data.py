"""How the sources' preferences differ, before any reward model is trained."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.figures.reward import draw_heat_map, matrix
from more_repro.report.row_selection import need


@style.styled
def transfer(table: pd.DataFrame) -> Figure:
    """Accuracy of a linear Bradley-Terry model of each source (row) on each source (column).

    Small print: the distance of the interval's farther end; it holds the choice of test pairs alone.
    """
    rows = with_half(need(table, "no linear model was fitted"))
    value, half = (matrix(rows, "trained_on", "tested_on", column) for column in ("estimate", "half"))
    figure, (axis,) = style.grid(1, 1, 0.46 * len(value) + 0.9)
    draw_heat_map(axis, value, half, 0.5, "accuracy")
    axis.set(xlabel="tested on", ylabel="trained on", title="Accuracy of a linear model of one source on another")
    return figure


def with_half(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `half`, the longer side of each interval: Wilson's reach further on one side than on the other."""
    return rows.assign(half=np.maximum(rows["high"] - rows["estimate"], rows["estimate"] - rows["low"]))


def longer_wins_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the share of pairs in which the longer response wins."""
    return table[table["statistic"] == "longer_wins"]


@style.styled
def length_rule(table: pd.DataFrame) -> Figure:
    """Share of pairs of each source in which the longer response wins, with its interval; one half is no rule."""
    rows = need(longer_wins_rows(table), "no length statistic").reset_index(drop=True)
    figure, (axis,) = style.grid(1, 1, 0.3 * len(rows) + 0.6)
    for place, row in enumerate(rows.to_dict("records")):
        colour = style.SOURCE_COLOURS[0] if row["estimate"] >= 0.5 else style.SOURCE_COLOURS[1]
        axis.barh(-place, row["estimate"] - 0.5, left=0.5, height=0.6, color=colour, alpha=0.8)
        if np.isfinite(row["low"]) and np.isfinite(row["high"]):
            axis.hlines(-place, row["low"], row["high"], color=style.INK, linewidth=1.3)
        axis.text(
            1.02,
            -place,
            f"{row['estimate']:.3f}  n = {row['n']:,}",
            transform=axis.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    axis.axvline(0.5, color=style.INK, linewidth=0.9)
    axis.set_yticks([-n for n in range(len(rows))], [style.short(s) for s in rows["source"]])
    axis.set(xlabel="share of pairs in which the longer response is chosen (ties half)")
    axis.grid(visible=False, axis="y")
    return figure


@style.styled
def word_log_odds(table: pd.DataFrame, top: int = 12) -> Figure:
    """Words that stand more often in chosen (right) or rejected (left) responses, by z; a panel per source.

    top: words of a source, half of them from each side where there are so many.
    """
    need(table, "no word statistics")
    sources = list(dict.fromkeys(table["source"]))
    largest = {s: _both_sides(table[table["source"] == s], top) for s in sources}
    figure, axes = style.grid(len(sources), 3, 0.2 * max(len(part) for part in largest.values()) + 0.6, sharex=True)
    for axis, (source, part) in zip(axes, largest.items(), strict=True):
        words = part.sort_values("z")
        colours = [style.SOURCE_COLOURS[0] if z > 0 else style.SOURCE_COLOURS[1] for z in words["z"]]
        axis.barh(range(len(words)), words["z"], color=colours, height=0.7)
        limit = float(part["z_limit"].iloc[0])
        axis.axvspan(-limit, limit, color=style.BAND, alpha=0.5, linewidth=0, zorder=0)
        axis.axvline(0, color=style.INK, linewidth=0.8)
        axis.set_yticks(range(len(words)), [style.short(w, 16) for w in words["word"]], fontsize=7.8)
        axis.set_title(style.short(source))
        axis.grid(visible=False, axis="y")
    figure.supxlabel(
        "z by prompt: left rejected, right chosen (grey: what chance shows among so many words)", fontsize=9
    )
    return figure


def _both_sides(words: pd.DataFrame, top: int) -> pd.DataFrame:
    """The words of largest |z|, at most `top` of them and, where the other side has as many, half of each sign."""
    ranked = words.sort_values("z", key=np.abs, ascending=False, kind="stable")
    right, left = ranked[ranked["z"] > 0], ranked[ranked["z"] <= 0]
    n_right = min(len(right), max(top // 2, top - len(left)))
    return pd.concat([right.head(n_right), left.head(top - n_right)])


@style.styled
def passes(table: pd.DataFrame) -> Figure:
    """How often each pair of a source is used once sources are resampled to one size; a panel per regime."""
    need(table, "no mixture")
    regimes = list(dict.fromkeys(table["regime"]))
    figure, axes = style.grid(len(regimes), 2, 0.28 * int(table["source"].nunique()) + 0.7, sharex=True)
    for axis, regime in zip(axes, regimes, strict=True):
        part = table[table["regime"] == regime]
        axis.barh(
            [-n for n in range(len(part))],
            part["mean_passes"],
            color=style.ACCENT,
            height=0.6,
            alpha=0.85,
        )
        for place, row in enumerate(part.to_dict("records")):
            axis.text(
                row["mean_passes"],
                -place,
                f"  {row['unique_pairs']:,} pairs × {row['mean_passes']:.1f}",
                va="center",
                fontsize=7.8,
            )
        axis.set_yticks([-n for n in range(len(part))], [style.short(s) for s in part["source"]])
        axis.set(
            title=f"regime {style.short(regime)}",
            xlabel="passes over each pair",
            xlim=(0, 1.45 * float(table["mean_passes"].max())),
        )
        axis.grid(visible=False, axis="y")
    return figure
