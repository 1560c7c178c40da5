"""Best-of-n against n: the judge's score and the net win of what each scheme chooses, for over-optimisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, need, of_base, of_regime
from more_repro.schemes import ALL, BEST, NONE, ORACLE, RANDOM, WORST, WORST_CHOICE, Roles

NO_SCORES = "the judge of this run compares two responses and gives no scores, or no best-of-n samples were judged"
_PANELS = (("gold", "judge's score of the chosen"), ("net", "win − lose against another sample"))
_REFERENCES: tuple[tuple[str, str, Any], ...] = ((ORACLE, style.INK, "-"), (RANDOM, style.MUTED, ":"))


def over_optimisation_rows(best_of_n_schemes: pd.DataFrame, regime: str | None, source: str = ALL) -> pd.DataFrame:
    """Rows of the curves: every scheme's best and worst of n, with oracle and random, on all prompts."""
    rows = of_regime(best_of_n_schemes, regime)
    return rows[rows["source"] == source]


@style.styled
def over_optimisation(
    best_of_n_schemes: pd.DataFrame,
    regime: str | None = None,
    worst_of: str | None = None,
    source: str = ALL,
    *,
    roles: Roles,
) -> Figure:
    """A row of panels per base: judge's score and net win against the KL bound of best-of-n, a line per scheme.

    worst_of: whose lowest rewards are drawn as the control, by default the first scheme's. A ring stands where a
    scheme's curve is highest, if that is before the largest n.
    """
    rows = need(over_optimisation_rows(best_of_n_schemes, regime, source), NO_SCORES)
    own = rows[~rows["choice"].isin((ORACLE, RANDOM))]
    names = list(dict.fromkeys(own["base"]))  # the length rule alone has none
    names = bases_of(own) or names
    schemes = style.scheme_order(own["scheme"], roles)
    control = worst_of if worst_of in schemes else schemes[0]
    figure, axes = style.grid(2 * len(names), 2, 3.4, sharex=True)
    for place, base in enumerate(names):
        part = pd.concat([of_base(own, base), own[own["base"] == NONE]]).drop_duplicates()
        for axis, (column, label) in zip(axes[2 * place : 2 * place + 2], _PANELS, strict=True):
            for choice, colour, dashes in _REFERENCES:
                _line(axis, rows[rows["choice"] == choice], column, colour, dashes)
            worst = part[(part["choice"] == WORST) & (part["scheme"] == control)]
            _line(axis, worst, column, style.scheme_colour(WORST_CHOICE, roles), "--")
            for scheme in schemes:
                _scheme_line(axis, part[(part["choice"] == BEST) & (part["scheme"] == scheme)], column, scheme, roles)
            axis.set(ylabel=label, title=f"base {style.short(base)}")
            _ticks(axis, rows)
    for axis in axes[-2:]:
        axis.set(xlabel="n, and below it the KL bound in nats")
    style.legend_below(figure, _handles(schemes, control, roles), 4)
    return figure


def _line(axis: Axes, rows: pd.DataFrame, column: str, colour: str, dashes: Any) -> None:
    curve = rows.sort_values("n")
    if len(curve):
        axis.plot(curve["kl_bound_nats"], curve[column], color=colour, linestyle=dashes, linewidth=1.3, zorder=2)


def _scheme_line(axis: Axes, rows: pd.DataFrame, column: str, scheme: str, roles: Roles) -> None:
    curve = rows.sort_values("n")
    if curve.empty:
        return
    x, y, colour = curve["kl_bound_nats"].to_numpy(), curve[column].to_numpy(), style.scheme_colour(scheme, roles)
    axis.fill_between(x, curve[f"{column}_low"], curve[f"{column}_high"], color=colour, alpha=0.08, linewidth=0)
    marked = np.flatnonzero(curve["n"].isin(_powers(int(curve["n"].max()))))
    axis.plot(
        x, y, style.scheme_marker(scheme, roles), linestyle="-", color=colour, markevery=list(marked), markersize=4.5
    )
    highest = int(np.argmax(y))
    if highest < len(y) - 1:
        axis.plot([x[highest]], [y[highest]], "o", color=colour, markerfacecolor="none", markersize=11, zorder=5)


def _powers(largest: int) -> list[int]:
    return [2**k for k in range(largest.bit_length()) if 2**k <= largest]


def _ticks(axis: Axes, rows: pd.DataFrame) -> None:
    places = rows.drop_duplicates("n").set_index("n")["kl_bound_nats"]
    shown = [
        n for n in dict.fromkeys([*_powers(int(places.index.max())), int(places.index.max())]) if n in places.index
    ]
    axis.set_xticks([places[n] for n in shown], [f"{n}\n{places[n]:.2f}" for n in shown])


def _handles(schemes: Sequence[str], control: str, roles: Roles) -> list[Line2D]:
    known = [
        Line2D(
            [],
            [],
            color=style.scheme_colour(s, roles),
            marker=style.scheme_marker(s, roles),
            label=style.scheme_name(s),
        )
        for s in schemes
    ]
    references: list[tuple[str, str, Any]] = [
        (f"worst of n, {style.scheme_name(control)}", style.scheme_colour(WORST_CHOICE, roles), "--"),
        *(
            (text, colour, dashes)
            for (_, colour, dashes), text in zip(_REFERENCES, ("oracle: best by the judge", "random"), strict=True)
        ),
    ]
    known += [Line2D([], [], color=c, linestyle=d, label=text) for text, c, d in references]
    ring = Line2D([], [], color=style.MUTED, marker="o", markerfacecolor="none", markersize=9, linestyle="")
    ring.set_label("peak before the largest n")
    return [*known, ring]


FIGURES = (
    FigureEntry(
        name="over_optimisation",
        title="Over-optimisation: best-of-n against n",
        section="alignment",
        order=30,
        caption=(
            "What the best of n samples by each scheme's reward is worth to the judge, n = 1 to {most_n}, on "
            "{n_best_of} test prompts: exact expectation over all choices of n, means over seeds, bands over prompts "
            "and seeds (over prompts alone with one seed). A line that bends down while the oracle rises is "
            "over-optimised: harder choosing by that reward does harm. A ring marks a peak before the largest n; a "
            "ring within a flat line means little."
        ),
        alt=(
            "Judge's score and net win against the KL bound of best-of-n for every scheme, with oracle, random and "
            "worst"
        ),
        draw=lambda s, r: over_optimisation(s["best_of_n_schemes"], r, s.params.align.schemes[0], roles=s.roles),
        rows=lambda s, r: over_optimisation_rows(s["best_of_n_schemes"], r),
    ),
)
