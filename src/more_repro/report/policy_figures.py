"""Perplexity of every policy."""

import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import style
from more_repro.report.rows import bases_of, need, of_regime


@style.styled
def perplexity(table: pd.DataFrame, regime: str | None = None) -> Figure:
    """Perplexity of each policy on the chosen responses of each alignment source; one point per seed."""
    rows = need(of_regime(table, regime), "no perplexity of any policy")
    keys = list(dict.fromkeys(zip(rows["base"], rows["scheme"], strict=True)))
    keys.sort(key=lambda key: (key[0] != "none", [*bases_of(rows), "none"].index(key[0])))
    sources = list(dict.fromkeys(rows["source"]))
    figure, axes = style.grid(len(sources), 2, 0.25 * len(keys) + 0.75, sharey=True)
    for axis, source in zip(axes, sources, strict=True):
        part = rows[rows["source"] == source]
        for level, (base, scheme) in enumerate(keys):
            group = part[(part["base"] == base) & (part["scheme"] == scheme)].to_dict("records")
            for number, row in enumerate(group):
                y, colour = -level - 0.2 * (number - (len(group) - 1) / 2), style.scheme_colour(scheme)
                axis.hlines(y, row["perplexity_low"], row["perplexity_high"], color=colour, alpha=0.6, linewidth=1.2)
                axis.plot([row["perplexity"]], [y], style.scheme_marker(scheme), color=colour, markersize=4)
        for value in part.loc[part["scheme"] == "untuned", "perplexity"]:
            axis.axvline(value, color=style.scheme_colour("untuned"), linewidth=1.0, linestyle="--")
        labels = [style.scheme_label(s) if b == "none" else f"{style.short(b, 14)} · {s}" for b, s in keys]
        axis.set_yticks([-n for n in range(len(keys))], labels)
        axis.locator_params(axis="x", nbins=5)
        axis.set(title=style.short(source), xlabel="perplexity (dashed: untuned policy)", ylim=(0.6 - len(keys), 0.6))
    return figure
