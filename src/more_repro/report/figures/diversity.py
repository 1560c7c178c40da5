"""How the sources compare, two by two: their texts, and what linear models make of their preferences."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from more_repro.report import style
from more_repro.report.drawing import draw_estimate, draw_heat_map, matrix, with_half
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need
from more_repro.report.run_tables import Study

_BLUE, _ORANGE = style.SOURCE_COLOURS[:2]


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
        draw_estimate(axis, -place + 0.16, values[a, b], "o", _BLUE)
        draw_estimate(axis, -place - 0.16, without.get((a, b)), "D", _ORANGE)
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
                draw_estimate(axis, -place, rows.get(pair), marker, colour, 4.2)
        for place, pair in enumerate(pairs):
            draw_estimate(axis, -place, _seen(shared.get(pair), measure), "s", style.INK, 4.2)
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


def _measures(s: Study, *names: str) -> pd.DataFrame:
    return s["source_similarity"][s["source_similarity"]["measure"].isin(names)]


FIGURES = (
    FigureEntry(
        name="directions",
        title="Directions of the linear models",
        section="disagreement",
        order=50,
        caption=(
            "Cosine of the margins that linear models of two sources give to the same texts. Each is fitted to half "
            "of its source's prompts; the grey bar ends where two halves of one source would stand. Orange: noise "
            "taken out; left out where the fits are too noisy for that."
        ),
        alt="Cosine between the linear models of every two sources, with intervals and the ceiling that noise sets",
        draw=lambda s, r: directions(s["source_similarity"]),
        rows=lambda s, r: _measures(s, "direction_cosine", "direction_cosine_corrected"),
        per_regime=False,
    ),
    FigureEntry(
        name="choices",
        title="Agreement and conflict on the same pairs",
        section="disagreement",
        order=60,
        caption=(
            "On test pairs of the first source: how often linear models of both order a pair alike, and how often "
            "they are opposite where both margins are in their larger half. One half: unrelated. Itself: two halves "
            "of one source. The models read responses only, so sources that differ in their prompts can seem to "
            "conflict; orange, in the embedded world, is the truth; black squares: training pairs that both sources "
            "hold."
        ),
        alt="Agreement and conflict of linear models of every two sources, beside the truth where it is known",
        draw=lambda s, r: choices(s["source_similarity"]),
        rows=lambda s, r: _measures(s, "agreement", "conflict", "true_agreement", "true_conflict", "shared_opposed"),
        per_regime=False,
    ),
    FigureEntry(
        name="told_apart",
        title="Sources told apart by their texts",
        section="disagreement",
        order=70,
        caption=(
            "AUC of a linear classifier, cross-validated by prompt: one half is chance, 1 is never wrong. Framed: two "
            "random halves of one source. Small print: the longer side of the interval."
        ),
        alt="Heat maps of the AUC at which prompts, and responses, of two sources are told apart",
        draw=lambda s, r: told_apart(s["source_similarity"]),
        rows=lambda s, r: _measures(s, "prompt_auc", "response_auc"),
        per_regime=False,
    ),
)
