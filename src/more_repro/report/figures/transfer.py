"""What is learned of one source, tested on the others: reward models (Fig 1 left) and linear models."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from more_repro.report import style
from more_repro.report.drawing import draw_heat_map, matrix, with_half
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import (
    bases_of,
    data_sets,
    first_seed,
    labelled,
    model_label,
    need,
    of_base,
    of_regime,
    whole,
)
from more_repro.schemes import RAW, Roles


def accuracy_rows(metrics: pd.DataFrame, regime: str | None, base: str | None = None, *, roles: Roles) -> pd.DataFrame:
    """Rows of Fig 1 left: raw and single models of every base, or of the one named, each model's lowest seed."""
    rows = of_regime(whole(metrics), regime)
    rows = data_sets(rows[rows["scheme"].isin((RAW, roles.single))])
    return labelled(first_seed(rows if base is None else of_base(rows, base)), roles)


@style.styled
def fig1_left(metrics: pd.DataFrame, regime: str | None = None, base: str | None = None, *, roles: Roles) -> Figure:
    """Accuracy of each single-source reward model, and of the raw one, on each source; small: half-widths.

    A panel for each base, all on one scale.
    """
    rows = need(accuracy_rows(metrics, regime, base, roles=roles), "no single-source reward model was scored")
    rows = rows.assign(half=(rows["accuracy_high"] - rows["accuracy_low"]) / 2)
    spread = float(np.nanmax(np.abs(rows["accuracy"] - 0.5)))
    names = bases_of(rows)
    figure, axes = style.grid(len(names), 1, 0.46 * rows["model"].nunique() + 0.9)
    for axis, base in zip(axes, names, strict=True):
        table, half = (matrix(of_base(rows, base), "model", "source", column) for column in ("accuracy", "half"))
        draw_heat_map(axis, table, half, centre=0.5, label="accuracy", spread=spread)
        axis.set(xlabel="tested on", ylabel="")
        axis.set_title(f"Accuracy on each source's test pairs, base {style.short(base)}")
        for row, model in enumerate(table.index):
            for column, source in enumerate(table.columns):
                if model == model_label(roles.single, str(source), roles):
                    axis.add_patch(_frame(column, row))
    return figure


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, fill=False, edgecolor=style.INK, linewidth=1.4)


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


FIGURES = (
    FigureEntry(
        name="fig1_left",
        title="Fig 1 left: accuracy of single-source reward models",
        section="disagreement",
        order=10,
        caption=(
            "A panel for each base. A row is the source that a reward model was trained on, a column the source it is "
            "tested on; framed: its own. One half is chance; below it the model prefers what that source rejects. "
            "Small print: half-width of the interval over prompts. Seed {seed}; test pairs per source: {n_test}."
        ),
        alt="Heat map of accuracy: trained on one source (rows) against tested on each source (columns)",
        draw=lambda s, r: fig1_left(s["metrics"], r, roles=s.roles),
        rows=lambda s, r: accuracy_rows(s["metrics"], r, roles=s.roles),
    ),
    FigureEntry(
        name="transfer",
        title="Transfer of a linear model of word counts",
        section="disagreement",
        order=40,
        caption=(
            "The same question before any language model: a linear Bradley-Terry model on words and length of one "
            "source, tested on each. Small print: the longer side of the interval, which holds the choice of test "
            "pairs alone and not that of the training pairs."
        ),
        alt="Heat map of accuracy of a linear model of one source on every source",
        draw=lambda s, r: transfer(s["transfer"]),
        rows=lambda s, r: s["transfer"],
        per_regime=False,
    ),
)
