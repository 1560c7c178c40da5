"""How the sources compare, two by two: their texts, and what linear models make of their preferences."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from more_repro.report import style
from more_repro.report.figures.data import with_half
from more_repro.report.figures.reward import draw_heat_map, matrix
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
        _dot(axis, -place, rows.get(source), "o", style.MUTED)
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


@style.styled
def overlap(table: pd.DataFrame) -> Figure:
    """Share of a source's prompts that another has too, and overlap of frequent words; framed: the same source."""
    return _squares(
        table,
        {"prompt_overlap": "prompts of the row in the column", "vocabulary_jaccard": "frequent words (Jaccard)"},
        0.0,
    )


@style.styled
def told_apart(table: pd.DataFrame) -> Figure:
    """AUC of linear classifiers that tell two sources apart; framed: two random halves of one source."""
    return _squares(
        table, {"prompt_auc": "told apart by prompts (AUC)", "response_auc": "told apart by responses (AUC)"}, 0.5
    )


def _squares(table: pd.DataFrame, measures: dict[str, str], centre: float) -> Figure:
    parts = {title: table[table["measure"] == measure] for measure, title in measures.items()}
    for title, rows in parts.items():
        need(rows, f"no measure of two sources: {title}")
    k = int(table["source_a"].nunique())
    figure, axes = style.grid(2, 2 if k <= 6 else 1, 0.46 * k + 0.9)
    for axis, (title, rows) in zip(axes, parts.items(), strict=True):
        value, half = (matrix(with_half(rows), "source_a", "source_b", column) for column in ("estimate", "half"))
        draw_heat_map(axis, value, half, centre, "")
        if (bar := axis.collections[0].colorbar) is not None:
            bar.remove()  # every cell has its number
        axis.set(xlabel="", ylabel="", title=title)
        axis.set_xticklabels(axis.get_xticklabels(), rotation=20)
        for place in range(len(value)):
            axis.add_patch(Rectangle((place + 0.03, place + 0.03), 0.94, 0.94, fill=False, edgecolor=style.INK))
    return figure


@style.styled
def word_divergence(table: pd.DataFrame) -> Figure:
    """Divergence of the words of chosen and rejected responses against its null band; a row per source."""
    need(table, "no divergence of words")
    figure, (axis,) = style.grid(1, 1, 0.36 * len(table) + 0.7)
    for place, row in enumerate(table.to_dict("records")):
        axis.barh(-place, row["null_high"] - row["null_low"], left=row["null_low"], height=0.7, color=style.BAND)
        axis.plot(row["divergence_bits"], -place, "o", color=_BLUE, markersize=6.5)
        text = f"excess {row['excess_bits']:+.4f}   p = {row['p']:.3f}   {row['n_pairs']:,} pairs"
        axis.text(1.02, -place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks([-n for n in range(len(table))], [style.short(s) for s in table["source"]])
    axis.set(xlabel="Jensen-Shannon divergence of chosen and rejected, bits (grey: were they exchangeable)")
    axis.set_xlim(0, 1.05 * float(table[["divergence_bits", "null_high"]].max().max()))
    axis.grid(visible=False, axis="y")
    return figure


@style.styled
def directions(table: pd.DataFrame) -> Figure:
    """Cosine of the linear models of two sources, what noise allows, and the cosine with the noise taken out."""
    rows = need(table[table["measure"] == "direction_cosine"], "no linear models of two sources")
    values = {(r["source_a"], r["source_b"]): r for r in rows.to_dict("records")}
    corrected = table[table["measure"] == "direction_cosine_corrected"].to_dict("records")
    without = {(r["source_a"], r["source_b"]): r for r in corrected}
    sources = list(dict.fromkeys(rows["source_a"]))
    pairs = [(a, b) for n, a in enumerate(sources) for b in sources[n + 1 :]]
    need(rows if pairs else rows.head(0), "one source has no other to be compared with")
    figure, (axis,) = style.grid(1, 1, 0.28 * len(pairs) + 0.6)
    for place, (a, b) in enumerate(pairs):
        ceiling = np.sqrt(max(values[a, a]["estimate"], 0.0) * max(values[b, b]["estimate"], 0.0))
        axis.barh(-place, 2 * ceiling, left=-ceiling, height=0.8, color=style.BAND, alpha=0.45)
        _dot(axis, -place + 0.16, values[a, b], "o", _BLUE)
        _dot(axis, -place - 0.16, without.get((a, b)), "D", _ORANGE)
    axis.axvline(0, color=style.INK, linewidth=0.9)
    axis.set_yticks([-n for n in range(len(pairs))], [f"{style.short(a, 16)} – {style.short(b, 16)}" for a, b in pairs])
    axis.set(
        xlim=(-1.12, 1.12),
        ylim=(-len(pairs) + 0.4, 0.6),
        xlabel="cosine: 1 the same preference, 0 unrelated, −1 opposite",
    )
    axis.grid(visible=False, axis="y")
    labels = {"as fitted, on halves of prompts": ("o", _BLUE), "with the noise of fitting taken out": ("D", _ORANGE)}
    handles: list = [Line2D([], [], marker=m, color=c, linestyle="", label=label) for label, (m, c) in labels.items()]
    style.legend_below(
        figure, [*handles, Patch(color=style.BAND, alpha=0.45, label="what noise allows (same source)")], 3
    )
    return figure


@style.styled
def choices(table: pd.DataFrame) -> Figure:
    """How often linear models of two sources order the pairs of the first alike, and how often surely opposite.

    Diamonds: the same of the true utilities, where the world knows them. Squares: training pairs that both sources
    compare, where there are any.
    """
    need(table[table["measure"] == "agreement"], "no linear models of two sources")
    panels = {"agreement": "order a pair alike", "conflict": "opposite, of pairs that both order surely"}
    sources = list(dict.fromkeys(table.loc[table["measure"] == "agreement", "source_a"]))
    pairs = [(a, b) for a in sources for b in (a, *(s for s in sources if s != a))]
    figure, axes = style.grid(2, 2, 0.19 * len(pairs) + 0.5, sharey=True)
    known = set(table["measure"])
    seen = table[(table["measure"] == "shared_opposed") & table["estimate"].notna()].to_dict("records")
    shared = {(r["source_a"], r["source_b"]): r for r in seen}
    for axis, (measure, title) in zip(axes, panels.items(), strict=True):
        for kind, marker, colour in ((measure, "o", _BLUE), (f"true_{measure}", "D", _ORANGE)):
            found = table[table["measure"] == kind].to_dict("records")
            rows = {(r["source_a"], r["source_b"]): r for r in found}
            for place, pair in enumerate(pairs):
                _dot(axis, -place, rows.get(pair), marker, colour, 4.2)
        for place, pair in enumerate(pairs):
            _dot(axis, -place, _seen(shared.get(pair), measure), "s", style.INK, 4.2)
        for group in range(0, len(sources), 2):
            axis.axhspan(
                0.5 - group * len(sources), 0.5 - (group + 1) * len(sources), color=style.BAND, alpha=0.25, linewidth=0
            )
        axis.axvline(0.5, color=style.INK, linewidth=0.9)
        axis.set(xlim=(-0.03, 1.03), ylim=(-len(pairs) + 0.5, 0.5), title=title, xlabel="share of test pairs")
        axis.grid(visible=False, axis="y")
    names = [f"{style.short(a, 14)}: {'itself' if a == b else style.short(b, 14)}" for a, b in pairs]
    axes[0].set_yticks([-n for n in range(len(pairs))], names, fontsize=7.8)
    labels = {"linear models of words": ("o", _BLUE)} | (
        {"true utilities": ("D", _ORANGE)} if "true_agreement" in known else {}
    )
    labels |= {"training pairs that both sources compare": ("s", style.INK)} if shared else {}
    style.legend_below(
        figure, [Line2D([], [], marker=m, color=c, linestyle="", label=label) for label, (m, c) in labels.items()]
    )
    return figure


def _seen(row: dict | None, measure: str) -> dict | None:
    """The share of shared pairs that are opposed, as the panel of `measure` counts."""
    if row is None or measure == "conflict":
        return row
    return {"estimate": 1 - row["estimate"], "low": 1 - row["high"], "high": 1 - row["low"]}


def _dot(axis: Axes, y: float, row: dict | None, marker: str, colour: str, size: float = 5.0) -> None:
    """An estimate with its interval; nothing where it is not defined."""
    if row is None or not np.isfinite(row["estimate"]):
        return
    if np.isfinite(row["low"]) and np.isfinite(row["high"]):
        axis.hlines(y, row["low"], row["high"], color=colour, linewidth=1.3)
    axis.plot(row["estimate"], y, marker, color=colour, markersize=size)
