"""Aligned policies: win rates against calibration (Fig 7), and perplexity."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from more_repro.records import MODEL_KEY
from more_repro.report import style
from more_repro.report.drawing import policy_handles, policy_mark
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import bases_of, need, of_regime
from more_repro.schemes import ALIGN, ALL, NONE, REFERENCE_POLICIES, SFT, UNTUNED, Roles


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
def fig7(
    win_rates: pd.DataFrame,
    metrics: pd.DataFrame,
    regime: str | None = None,
    opponent: str = SFT,
    source: str = ALL,
    *,
    roles: Roles,
) -> Figure:
    """Win rate of each aligned policy against an opponent, against the ECE of its reward model; net win beside it.

    Intervals of the net win are over prompts. A tie is no win.
    """
    rows = need(
        fig7_rows(win_rates, metrics, regime, opponent, source), f"no aligned policy was judged against {opponent}"
    )
    figure, axes = style.grid(2, 2, 3.3)
    for axis, column in zip(axes, ("win", "net"), strict=True):
        for row in rows.to_dict("records"):
            if column == "net" and np.isfinite(row["net_low"]):
                axis.vlines(
                    row["ece"],
                    row["net_low"],
                    row["net_high"],
                    color=style.scheme_colour(row["scheme"], roles),
                    alpha=0.35,
                    linewidth=1.2,
                )
            policy_mark(axis, row["ece"], row[column], row, bases_of(rows), roles)
        axis.set(xlabel="ECE of the reward model on the alignment sources", xlim=(0, None))
        axis.locator_params(axis="x", nbins=6)
    axes[0].set(ylabel=f"win rate against {opponent}")
    axes[1].set(ylabel=f"win − lose against {opponent}")
    axes[1].axhline(0, color=style.INK, linewidth=0.9, linestyle="--")
    _mark_references(axes[1], reference_rows(win_rates, opponent, source))
    style.legend_below(figure, policy_handles(rows, roles), 4)
    return figure


def reference_rows(win_rates: pd.DataFrame, opponent: str, source: str) -> pd.DataFrame:
    """Win rates of policies that are no scheme: untuned, random and worst choice, and, with an oracle, its own."""
    rows = win_rates[win_rates["scheme"].isin(REFERENCE_POLICIES) & (win_rates["opponent"] == opponent)]
    return rows[(rows["source"] == source) & rows["net"].notna()].drop_duplicates("scheme")


def _mark_references(axis: Axes, rows: pd.DataFrame) -> None:
    """A dotted line for each reference policy; lines that nearly meet share one label."""
    labels: list[tuple[float, str]] = []
    for row in rows.sort_values("net", ascending=False).to_dict("records"):
        axis.axhline(row["net"], color=style.MUTED, linewidth=0.9, linestyle=":")
        name = style.scheme_name(row["scheme"])
        if labels and labels[-1][0] - row["net"] < 0.04:
            labels[-1] = (labels[-1][0], f"{labels[-1][1]}, {name}")
        else:
            labels.append((row["net"], name))
    for height, text in labels:
        axis.annotate(text, (1.0, height), xycoords=axis.get_yaxis_transform(), ha="right", va="bottom", fontsize=8)


@style.styled
def perplexity(table: pd.DataFrame, regime: str | None = None, *, roles: Roles) -> Figure:
    """Perplexity of each policy on the chosen responses of each alignment source; one point per seed."""
    rows = need(of_regime(table, regime), "no perplexity of any policy")
    keys = list(dict.fromkeys(zip(rows["base"], rows["scheme"], strict=True)))
    keys.sort(key=lambda key: (key[0] != NONE, [*bases_of(rows), NONE].index(key[0])))
    sources = list(dict.fromkeys(rows["source"]))
    figure, axes = style.grid(len(sources), 2, 0.25 * len(keys) + 0.75, sharey=True)
    for axis, source in zip(axes, sources, strict=True):
        part = rows[rows["source"] == source]
        for level, (base, scheme) in enumerate(keys):
            group = part[(part["base"] == base) & (part["scheme"] == scheme)].to_dict("records")
            for number, row in enumerate(group):
                y, colour = -level - 0.2 * (number - (len(group) - 1) / 2), style.scheme_colour(scheme, roles)
                axis.hlines(y, row["perplexity_low"], row["perplexity_high"], color=colour, alpha=0.6, linewidth=1.2)
                axis.plot([row["perplexity"]], [y], style.scheme_marker(scheme, roles), color=colour, markersize=4)
        for value in part.loc[part["scheme"] == UNTUNED, "perplexity"]:
            axis.axvline(value, color=style.scheme_colour(UNTUNED, roles), linewidth=1.0, linestyle="--")
        names = [style.short(style.scheme_name(s), 16) for _, s in keys]
        labels = [n if b == NONE else f"{style.short(b, 14)} · {n}" for n, (b, _) in zip(names, keys, strict=True)]
        axis.set_yticks([-n for n in range(len(keys))], labels)
        axis.locator_params(axis="x", nbins=5)
        axis.set(title=style.short(source), xlabel="perplexity (dashed: untuned policy)", ylim=(0.6 - len(keys), 0.6))
    return figure


FIGURES = (
    FigureEntry(
        name="fig7",
        title="Fig 7: win rate of aligned policies against the ECE of their reward model",
        section="alignment",
        order=10,
        caption=(
            "A point is a policy aligned by one reward model (one seed), judged against the SFT policy; filled by "
            "base. Left: wins; right: wins minus losses with the interval over prompts, n = {n_judged}; dotted: "
            "policies that are references, not schemes. Look for a slope among points of one base. The paper draws "
            "its Fig 7 and prints no number of it; what it prints of its duels is the next figure."
        ),
        alt="Scatter of win rate and net win against the ECE of the reward model",
        draw=lambda s, r: fig7(s["win_rates"], s.every("metrics"), r, roles=s.roles),
        rows=lambda s, r: fig7_rows(s["win_rates"], s.every("metrics"), r),
    ),
    FigureEntry(
        name="perplexity",
        title="Perplexity of aligned policies",
        section="alignment",
        order=50,
        caption=(
            "On the chosen responses of the test pairs, a point per seed, interval over texts. Lower: closer to those "
            "texts."
        ),
        alt="Perplexity of each policy on each alignment source with intervals",
        draw=lambda s, r: perplexity(s["perplexity"], r, roles=s.roles),
        rows=lambda s, r: of_regime(s["perplexity"], r),
    ),
)
