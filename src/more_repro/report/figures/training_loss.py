"""The loss of each source during training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from more_repro.report import style
from more_repro.report.drawing import draw_trajectories, source_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.figures.scheme import fig2_rows
from more_repro.report.row_selection import need
from more_repro.schemes import Roles


@style.styled
def training_loss(
    training_log: pd.DataFrame,
    regime: str | None = None,
    base: str | None = None,
    *,
    roles: Roles,
) -> Figure:
    """Loss of multitask and more on each source during training, lowest seed; thin: single steps, thick: mean of 15."""
    schemes = (roles.reference, roles.method)
    rows = need(fig2_rows(training_log, regime, base, schemes), f"no training log of {' or '.join(schemes)}")
    present = style.scheme_order(rows["scheme"], roles)
    names = list(dict.fromkeys(rows["source"]))
    figure, axes = style.grid(len(present), 2, 2.6, sharey=True)
    for axis, scheme in zip(axes, present, strict=True):
        part = rows[rows["scheme"] == scheme]
        draw_trajectories(axis, part, "loss", names)
        axis.axhline(0.6931, color=style.INK, linewidth=1.0, linestyle=":")
        axis.set(
            title=f"{style.scheme_label(scheme)}, base {style.short(part['base'].iloc[0])}",
            xlabel="training step",
            ylabel="loss (nats)",
        )
    chance = Line2D([], [], color=style.INK, linestyle=":", label="no preference (log 2)")
    style.legend_below(figure, [*source_handles(names), chance], 6)
    return figure


FIGURES = (
    FigureEntry(
        name="training_loss",
        title="Loss of each source during training",
        section="scheme",
        order=20,
        caption=(
            "Thin: single steps, thick: the mean of 15; dotted: a model without preference. A source that falls far "
            "below the others is being learned by heart or is easier. Seed {seed}."
        ),
        alt="Curves of the training loss of each source for multitask and MORE",
        draw=lambda s, r: training_loss(s["training_log"], r, roles=s.roles),
        rows=lambda s, r: fig2_rows(s["training_log"], r, None, (s.roles.reference, s.roles.method)),
    ),
)
