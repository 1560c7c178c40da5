"""The MORE scheme as a diagram, and the lambda it chose (Fig 2)."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from more_repro.records import MODEL_KEY
from more_repro.report import style
from more_repro.report.drawing import draw_trajectories, source_handles
from more_repro.report.entries import FigureEntry
from more_repro.report.row_selection import first_seed, of_regime, one_base, whole
from more_repro.schemes import MIXTURE, Roles

_SMOOTH = 15  # steps; the thin line behind is single steps
_STILL = 1e-6  # of lambda: rounding
_COLUMNS = 3
_MOST_STEPS = 300  # drawn of each curve; a long run shows every n-th step
# x, y, width, height in units of the panel, and the text. The three ideas stand in the order of a training step.
_BLOCKS = (
    (0.00, 0.30, 0.15, 0.40, "one batch:\nB pairs of each\nof K sources"),
    (0.20, 0.30, 0.15, 0.40, "reward model\nr = w · z\nmargins D"),
    (0.40, 0.56, 0.26, 0.40, "loss of each source\nL₁ … L_K\n(mean of −log σ(D))"),
    (0.40, 0.02, 0.26, 0.40, "head gradient of each source\ng_k = −mean σ(−D)(z⁺ − z⁻)\nsmoothed, normalised"),
    (0.71, 0.02, 0.29, 0.40, "λ = argmin ‖Σ λ_k g_k‖²\non the simplex: the shortest\npoint of their convex hull"),
    (0.71, 0.56, 0.29, 0.40, "loss = Σ λ_k L_k\none backward pass\n(multitask: λ_k = 1/K)"),
)
_ARROWS = (
    ((0.15, 0.5), (0.20, 0.5)),
    ((0.35, 0.55), (0.40, 0.72)),
    ((0.35, 0.45), (0.40, 0.26)),
    ((0.66, 0.22), (0.71, 0.22)),
    ((0.66, 0.76), (0.71, 0.76)),
    ((0.855, 0.42), (0.855, 0.56)),
)


def fig2_rows(
    training_log: pd.DataFrame,
    regime: str | None,
    base: str | None = None,
    schemes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of the lambda panels: one base, the lowest seed, models of the whole mixture; schemes: None for those whose
    lambda moves.

    Columns lambda and loss, and their running means over 15 steps; a run longer than 300 steps keeps every n-th.
    """
    rows = of_regime(whole(training_log), regime)
    rows = rows[rows["trained_on"] == MIXTURE]
    rows = rows[rows["scheme"].isin(moving_schemes(rows) if schemes is None else list(schemes))]
    rows = first_seed(one_base(rows, base)).sort_values(["scheme", "source", "step"], kind="stable")
    curves = rows.groupby(["scheme", "source"], sort=False)
    means = {
        f"{c}_mean": curves[c].transform(lambda v: v.rolling(_SMOOTH, center=True, min_periods=1).mean())
        for c in ("lambda", "loss")
    }
    rows = rows.assign(**means)[[*MODEL_KEY, "step", "source", "lambda", "lambda_mean", "loss", "loss_mean"]]
    every = -(-rows["step"].nunique() // _MOST_STEPS) if len(rows) else 1
    return rows[rows["step"].rank(method="dense").sub(1) % every == 0].sort_index()


def moving_schemes(training_log: pd.DataFrame) -> list[str]:
    """Schemes whose lambda is not the same in every step of a training."""
    runs = training_log.groupby([*MODEL_KEY, "source"], sort=False)["lambda"]
    moved = (runs.max() - runs.min() > _STILL).groupby("scheme").any()
    return [str(scheme) for scheme in moved.index[moved]]


@style.styled
def fig2(
    training_log: pd.DataFrame,
    regime: str | None = None,
    base: str | None = None,
    schemes: Sequence[str] | None = None,
    *,
    roles: Roles,
) -> Figure:
    """One training step of MORE as a diagram; below, lambda of the real runs, a panel for each scheme."""
    rows = fig2_rows(training_log, regime, base, schemes)
    present = style.scheme_order(rows["scheme"], roles)
    lines = -(-len(present) // _COLUMNS)
    heights = [1.9, 0.4 + 2.6 * lines] if present else [2.1]
    figure = Figure(figsize=(style.WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _diagram(parts[0].subplots())
    if present:
        _lambda_panels(parts[1], rows, present, lines)
    return figure


def _lambda_panels(figure: SubFigure, rows: pd.DataFrame, present: Sequence[str], lines: int) -> None:
    panels = figure.subplots(lines, min(_COLUMNS, len(present)), sharey=True, squeeze=False)
    axes = list(panels.ravel())
    names = list(dict.fromkeys(rows["source"]))
    for axis, scheme in zip(axes, present, strict=False):
        part = rows[rows["scheme"] == scheme]
        draw_trajectories(axis, part, "lambda", names)
        axis.axhline(1 / len(names), color=style.INK, linewidth=1.0, linestyle=":")
        axis.set(
            title=f"{style.scheme_label(scheme)}, base {style.short(part['base'].iloc[0])}", xlabel="training step"
        )
    for unused in axes[len(present) :]:
        unused.set_axis_off()
    style.from_zero(axes[: len(present)])
    for axis in panels[:, 0]:
        axis.set(ylabel="λ (share of the loss)")
    uniform = Line2D([], [], color=style.INK, linestyle=":", label="1/K (multitask)")
    style.legend_below(figure, [*source_handles(names), uniform], 6)


def _diagram(axis: Axes) -> None:
    for number, (x, y, width, height, text) in enumerate(_BLOCKS):
        ours = number in (3, 4)
        axis.add_patch(
            FancyBboxPatch(
                (x + 0.004, y),
                width - 0.008,
                height,
                boxstyle="round,pad=0,rounding_size=0.02",
                mutation_aspect=2.5,
                facecolor="#dcebf5" if ours else "#f1f3f6",
                edgecolor=style.ACCENT if ours else "#9aa1ab",
            )
        )
        axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=8.2, linespacing=1.35)
    for start, end in _ARROWS:
        axis.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=11, color=style.INK, linewidth=1.1, shrinkA=0, shrinkB=0
            )
        )
    axis.set(xlim=(0, 1), ylim=(-0.02, 1.0))
    axis.set_axis_off()


FIGURES = (
    FigureEntry(
        name="fig2",
        title="Fig 2: the MORE scheme, and the λ that it chose",
        section="scheme",
        order=10,
        caption=(
            "Top: one training step; blue is what MORE adds to multitask. Bottom: λ of each source in this run, a "
            "panel for each scheme whose λ moves, thin single steps, thick the mean of 15; dotted: multitask's 1/K. "
            "Between l2-normalised gradients MORE gives no source more than 1/2. Seed {seed}."
        ),
        alt="Diagram of a training step of MORE, and curves of lambda per source against the training step",
        draw=lambda s, r: fig2(s["training_log"], r, roles=s.roles),
        rows=lambda s, r: fig2_rows(s["training_log"], r),
    ),
)
