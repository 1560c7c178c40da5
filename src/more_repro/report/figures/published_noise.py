"""How the printed differences in ECE compare with noise."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from more_repro.report import style
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import need
from more_repro.schemes import PAPER


def published_rows(published_noise: pd.DataFrame) -> pd.DataFrame:
    """Printed ECE differences of MORE from multitask: Table 1 (two sources) and Table 2 (five)."""
    rows = published_noise[
        published_noise["scheme"].eq(PAPER.method) & published_noise["table"].isin(("table1", "table2"))
    ]
    return rows[rows["difference"].notna()]


@style.styled
def published(published_noise: pd.DataFrame) -> Figure:
    """Printed ECE of MORE less that of multitask, against the differences of two models that are equally calibrated."""
    rows = need(published_rows(published_noise), "no printed ECE difference")
    figure, (axis,) = style.grid(1, 1, 0.34 * len(rows) + 0.5)
    labels = []
    for place, row in enumerate(rows.to_dict("records")):
        axis.barh(-place, row["noise_high"] - row["noise_low"], left=row["noise_low"], height=0.6, color=style.BAND)
        axis.plot(
            [row["difference"]],
            [-place],
            style.scheme_marker(PAPER.method, PAPER),
            color=style.scheme_colour(PAPER.method, PAPER),
        )
        name = row["base"].replace("_", ".")
        labels.append(f"{row['table'].replace('table', 'Table ')} · {style.short(name)} · n = {row['n']:,}")
        text = f"p = {row['p_difference']:.3f} (.8 correlated: {row['p_correlated']:.3f})"
        axis.text(1.01, -place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.axvline(0, color=style.INK, linewidth=0.9, linestyle="--")
    axis.set_yticks([-n for n in range(len(labels))], labels)
    axis.set(xlabel="printed ECE of MORE less that of multitask (left of 0: MORE lower)")
    axis.grid(visible=False, axis="y")
    style.legend_below(figure, [Patch(color=style.BAND, label="chance: two equally calibrated models at this n")])
    return figure


FIGURES = (
    FigureEntry(
        name="published_noise",
        title="The paper's ECE differences against noise",
        section="alignment",
        order=90,
        caption=(
            "Computed from the printed accuracies, ECEs and test-set sizes alone; no seed was varied in print. A "
            "point inside the grey band is a difference that two equally calibrated models show by chance."
        ),
        alt="Printed differences in ECE of MORE and multitask with the band of chance, by base",
        draw=lambda s, r: published(s["published_noise"]),
        rows=lambda s, r: published_rows(s["published_noise"]),
        per_regime=False,
    ),
)
