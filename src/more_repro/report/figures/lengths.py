"""Words of prompts and responses, and what a rule that counts them reaches."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from more_repro.report import style
from more_repro.report.drawing import draw_estimate, matrix
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need

_BLUE, _ORANGE = style.SOURCE_COLOURS[:2]
_SPREADS = ("q10", "q25", "median", "q75", "q90")


@style.styled
def lengths(table: pd.DataFrame) -> Figure:
    """Words of prompts, of chosen and rejected responses, and the share of pairs whose prompt has several turns.

    Words: median, middle half and middle four fifths.
    """
    need(spread_rows(table), "no quantiles of lengths")
    figure, axes = style.grid(3, 3, 0.42 * int(table["source"].nunique()) + 0.7)
    series = {
        "prompt": ("prompt", style.MUTED, 0.0),
        "chosen": ("response", _BLUE, 0.16),
        "rejected": ("response", _ORANGE, -0.16),
    }
    _several_turns(axes[2], table)
    for axis, title in zip(axes, ("prompt", "response"), strict=False):
        for what, (panel, colour, shift) in series.items():
            if panel == title:
                _spread_lines(axis, table, what, colour, shift)
        sources = list(dict.fromkeys(table["source"]))
        axis.set_yticks([-n for n in range(len(sources))], [style.short(s) for s in sources])
        axis.set(title=f"words of the {title}", xscale="log", ylim=(-len(sources) + 0.5, 0.5))
        _plain_log_ticks(axis)
        axis.grid(visible=False, axis="y")
    handles = [Patch(color=colour, label=what) for what, (_, colour, _) in series.items()]
    title = (
        "words: dot: median, dark: its interval, thick: middle half, thin: from 10 % to 90 %; turns: share, interval"
    )
    style.legend_below(figure, handles, 3, title)
    return figure


def _plain_log_ticks(axis: Axes) -> None:
    """Few ticks, written as plain numbers: a log axis would write formulas, for its minor ticks too."""
    low, high = axis.get_xlim()
    decades = np.log10(high / low)
    wide = LogLocator(subs=(1.0,) if decades > 2.2 else (1.0, 3.0))
    axis.xaxis.set_major_locator(wide if decades > 1.2 else MaxNLocator(5, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.minorticks_off()


def spread_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that `lengths` draws."""
    wanted = [f"{q}_{what}_words" for what in ("prompt", "chosen", "rejected") for q in _SPREADS]
    return table[table["statistic"].isin([*wanted, "multi_turn"])]


def _several_turns(axis: Axes, table: pd.DataFrame) -> None:
    sources = list(dict.fromkeys(table["source"]))
    rows = table[table["statistic"] == "multi_turn"].set_index("source").to_dict("index")
    for place, source in enumerate(sources):
        draw_estimate(axis, -place, rows.get(source), "o", style.MUTED)
    axis.set_yticks([-n for n in range(len(sources))], [style.short(s) for s in sources])
    axis.set(title="prompts of several turns", xlabel="share of pairs", xlim=(-0.06, 1.06))
    axis.set_ylim(-len(sources) + 0.5, 0.5)
    axis.grid(visible=False, axis="y")


def _spread_lines(axis: Axes, table: pd.DataFrame, what: str, colour: str, shift: float) -> None:
    rows = spread_rows(table)
    wide = matrix(rows, "source", "statistic", "estimate")
    lows, highs = (matrix(rows, "source", "statistic", end)[f"median_{what}_words"] for end in ("low", "high"))
    for place, (_, row) in enumerate(wide.iterrows()):
        q10, q25, middle, q75, q90 = (max(float(row[f"{q}_{what}_words"]), 0.5) for q in _SPREADS)
        axis.hlines(shift - place, q10, q90, color=colour, linewidth=1.1)
        axis.hlines(shift - place, q25, q75, color=colour, linewidth=4.5, alpha=0.55)
        axis.plot(middle, shift - place, "o", color=colour, markersize=5.5)
        low, high = (max(float(ends.iloc[place]), 0.5) for ends in (lows, highs))
        axis.hlines(shift - place, low, high, color=style.INK, linewidth=1.8, zorder=4)


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


FIGURES = (
    FigureEntry(
        name="lengths",
        title="Lengths of prompts and responses",
        section="disagreement",
        order=80,
        caption="Words of the training pairs, on a logarithmic scale, and the share of prompts of several turns.",
        alt="Median and quantiles of the words of prompts, chosen and rejected responses of every source",
        draw=lambda s, r: lengths(s["source_statistics"]),
        rows=lambda s, r: spread_rows(s["source_statistics"]),
        per_regime=False,
    ),
    FigureEntry(
        name="length_rule",
        title="The length rule",
        section="disagreement",
        order=90,
        caption=(
            "Share of training pairs in which the longer response is the chosen one: what a reward model reaches that "
            "counts words only. Left of one half the shorter response wins."
        ),
        alt="Bars: share of pairs of each source in which the longer response wins",
        draw=lambda s, r: length_rule(s["source_statistics"]),
        rows=lambda s, r: longer_wins_rows(s["source_statistics"]),
        per_regime=False,
    ),
)
