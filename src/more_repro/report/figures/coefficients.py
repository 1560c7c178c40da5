"""The coefficient of ECE by every method, and those of its parts."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.drawing import plain
from more_repro.report.entries import FigureEntry
from more_repro.report.paper_tables.paper import THIS_RUN
from more_repro.report.row_selection import need
from more_repro.report.tables.regression import TERMS


def coefficient_rows(table: pd.DataFrame, term: str = "ece") -> pd.DataFrame:
    """Rows of one term: net win of this run; of the published points, which have none, every outcome."""
    rows = table[(table["term"] == term) & table["estimate"].notna()]
    return rows[rows["outcome"].eq("net_win") | ~rows["data"].isin(rows.loc[rows["outcome"].eq("net_win"), "data"])]


def part_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Net win of this run on ECE, its parts, its halves and the slope: the first method of each; none for ECE alone."""
    rows = table[table["outcome"].eq("net_win") & table["term"].isin(TERMS) & table["estimate"].notna()]
    rows = rows[rows["data"] == THIS_RUN].drop_duplicates("term")
    rows = rows if len(rows) > 1 else rows.head(0)
    return rows.sort_values("term", key=lambda names: names.map({name: n for n, name in enumerate(TERMS)}))


@style.styled
def coefficients(table: pd.DataFrame, term: str = "ece") -> Figure:
    """Every method's coefficient of one term with its interval, a panel for each analysis; below, the parts of ECE."""
    rows = need(coefficient_rows(table, term), f"no regression with the term {term!r}")
    panels = []
    for (data, outcome), part in rows.groupby(["data", "outcome"], sort=False):
        panels.append((f"{style.short(str(data), 30)}: {plain(str(outcome))} on {plain(term)}", "method", part))
    found = part_rows(table)
    for name, part in (("ECE, its parts and halves", found[found["term"] != "slope"]),
                       ("the calibration slope", found[found["term"] == "slope"])):  # fmt: skip
        panels += [(f"net win on {name}", "term", part)] if len(part) else []
    heights = [len(part) + 2.5 for _, _, part in panels]
    figure = Figure(figsize=(style.WIDTH, 0.2 * sum(heights) + 0.5), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights).ravel()
    for axis, (title, label, part) in zip(axes, panels, strict=True):
        _coefficient_panel(axis, part.reset_index(drop=True), label)
        axis.set_title(f"{title}, n = {int(part['n'].max())}")
    figure.supxlabel("change of the outcome per unit of the term (arrow: the interval goes on)", fontsize=9)
    return figure


def _coefficient_panel(axis: Axes, part: pd.DataFrame, label: str) -> None:
    _intervals(axis, part)
    axis.axvline(0, color=style.INK, linewidth=0.9, linestyle="--")
    labels = [
        style.short(TERMS.get(m, m), 44) + ("" if np.isnan(p) else f"  p = {p:.3f}")
        for m, p in zip(part[label], part["p"], strict=True)
    ]
    axis.set_yticks([-n for n in range(len(part))], labels)
    axis.set_ylim(0.6 - len(part), 0.6)


def _intervals(axis: Axes, rows: pd.DataFrame) -> None:
    """A point and its interval per row; one more than four times as wide as the usual one is cut, with an arrow."""
    reach = 2.0 * float((rows["high"] - rows["low"]).median())
    middle, colour = float(rows["estimate"].median()), style.ACCENT
    for place, row in enumerate(rows.to_dict("records")):
        finite = np.isfinite(row["low"]) and np.isfinite(row["high"])
        if finite:
            low, high = (min(max(end, middle - reach), middle + reach) for end in (row["low"], row["high"]))
            axis.hlines(-place, low, high, color=colour)
            for end, cut, marker in ((low, row["low"], "<"), (high, row["high"], ">")):
                if end != cut:
                    axis.plot([end], [-place], marker, color=colour, markersize=5)
        axis.plot([row["estimate"]], [-place], "o" if finite else "x", color=colour)


FIGURES = (
    FigureEntry(
        name="coefficients",
        title="The coefficient of ECE by every method",
        section="alignment",
        order=70,
        caption=(
            "How much the answer depends on the method: a row each, with its interval and p. For net win left of 0, "
            "for perplexity right of 0: a lower ECE goes with the better policy. Below: ECE in two parts, on two "
            "halves of the test prompts, and the slope, each by permutation. What one temperature removes best-of-n "
            "cannot see: its interval without 0 says that the coefficient of ECE is confounded. Panels have their own "
            "scales."
        ),
        alt="Coefficients of ECE with intervals, one row per method, and of its parts, halves and the slope",
        draw=lambda s, r: coefficients(s["regression"]),
        rows=lambda s, r: coefficient_rows(s["regression"]),
        per_regime=False,
    ),
)
