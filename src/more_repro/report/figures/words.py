"""Words that chosen and rejected responses of a source differ in."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need


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
def word_divergence(table: pd.DataFrame) -> Figure:
    """Divergence of the words of chosen and rejected responses against its null band; a row per source."""
    need(table, "no divergence of words")
    figure, (axis,) = style.grid(1, 1, 0.36 * len(table) + 0.7)
    for place, row in enumerate(table.to_dict("records")):
        axis.barh(-place, row["null_high"] - row["null_low"], left=row["null_low"], height=0.7, color=style.BAND)
        axis.plot(row["divergence_bits"], -place, "o", color=style.SOURCE_COLOURS[0], markersize=6.5)
        text = f"excess {row['excess_bits']:+.4f}   p = {row['p']:.3f}   {row['n_pairs']:,} pairs"
        axis.text(1.02, -place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks([-n for n in range(len(table))], [style.short(s) for s in table["source"]])
    axis.set(xlabel="Jensen-Shannon divergence of chosen and rejected, bits (grey: were they exchangeable)")
    axis.set_xlim(0, 1.05 * float(table[["divergence_bits", "null_high"]].max().max()))
    axis.grid(visible=False, axis="y")
    return figure


FIGURES = (
    FigureEntry(
        name="word_divergence",
        title="Do chosen and rejected responses differ in their words?",
        section="disagreement",
        order=100,
        caption=(
            "Grey: the divergence if chosen and rejected were exchangeable: the two responses of random prompts are "
            "swapped. A point inside cannot be told from that; divergences of sources of different size compare by "
            "their excess only."
        ),
        alt="Divergence of the words of chosen and rejected responses of every source, with its null band",
        draw=lambda s, r: word_divergence(s["word_divergence"]),
        rows=lambda s, r: s["word_divergence"],
        per_regime=False,
    ),
    FigureEntry(
        name="word_log_odds",
        title="Words that each source rewards",
        section="disagreement",
        order=110,
        caption=(
            "Words that stand more often in chosen responses of the training pairs point right, in rejected ones "
            "left. Grey: the largest z that chance would show among so many words, clustered by prompt."
        ),
        alt="Bars: words of each source by the z of their log odds in chosen against rejected responses",
        draw=lambda s, r: word_log_odds(s["word_log_odds"]),
        rows=lambda s, r: s["word_log_odds"],
        per_regime=False,
    ),
)
