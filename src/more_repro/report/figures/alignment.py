"""Alignment against calibration: the regression, its coefficients by every method, and its power."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from more_repro.records import MODEL_KEY
from more_repro.report import style
from more_repro.report.row_selection import bases_of, need, of_regime
from more_repro.report.tables.paper import THIS_RUN
from more_repro.schemes import ALIGN, ALL, REFERENCE_POLICIES, SFT, Roles

PLACEBO = "ece_temperature"
# Terms of the regressions of net win that are held beside ECE, and what a reader is told that they are.
TERMS = {
    "ece": "ECE",
    PLACEBO: "ECE that one temperature removes (placebo)",
    "ece_shape": "ECE that it leaves",
    "ece_first_half": "ECE of a half of the prompts",
    "ece_second_half": "ECE of the other half",
    "slope": "calibration slope",
}
_BASE_FACES = ("full", "none", "left", "right", "top", "bottom")


def fig7_rows(
    win_rates: pd.DataFrame, metrics: pd.DataFrame, regime: str | None, opponent: str = SFT, source: str = ALL
) -> pd.DataFrame:
    """One row per policy aligned by a reward model: its win rate, and accuracy and ECE of the reward model on "align".

    net_win repeats the column net under the name that the regression gives it.
    """
    wins = of_regime(win_rates, regime)
    wins = wins[(wins["opponent"] == opponent) & (wins["source"] == source) & ~wins["scheme"].isin(REFERENCE_POLICIES)]
    judged = metrics[(metrics["source"] == ALIGN) & metrics["ece"].notna()]
    columns = [*MODEL_KEY, "accuracy", "ece", "ece_null_low", "ece_null_high"]
    return wins.merge(judged[columns], on=list(MODEL_KEY), how="inner").assign(net_win=lambda rows: rows["net"])


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
        mark(axis, float(x[place]), float(y[place]), row, bases_of(rows), roles)
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
    style.legend_below(figure, handles(rows, roles), 6)
    return figure


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


def plain(name: str) -> str:
    """A column's name as words."""
    return style.short(name.replace("_", " ").replace("ece", "ECE"), 40)


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


def mark(axis: Axes, x: float, y: float, row: dict, bases: list[str], roles: Roles) -> None:
    """A point: colour and marker of the scheme, filling of the base."""
    place = bases.index(row["base"]) if row["base"] in bases else 0
    axis.plot(
        [x],
        [y],
        style.scheme_marker(row["scheme"], roles),
        color=style.scheme_colour(row["scheme"], roles),
        markersize=6.5,
        fillstyle=_BASE_FACES[place % len(_BASE_FACES)],
        markerfacecoloralt=style.CARD,
    )


def handles(rows: pd.DataFrame, roles: Roles) -> list[Line2D]:
    schemes = [
        Line2D(
            [],
            [],
            linestyle="",
            color=style.scheme_colour(s, roles),
            marker=style.scheme_marker(s, roles),
            label=style.scheme_label(s),
        )
        for s in style.scheme_order(rows["scheme"], roles)
    ]
    bases = [
        Line2D(
            [],
            [],
            linestyle="",
            color=style.MUTED,
            marker="o",
            fillstyle=_BASE_FACES[n % len(_BASE_FACES)],  # type: ignore[arg-type]
            markerfacecoloralt=style.CARD,
            label=f"base {style.short(b)}",
        )
        for n, b in enumerate(bases_of(rows))
    ]
    return schemes + bases
