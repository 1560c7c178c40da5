"""One look for every figure: a palette fixed per scheme, a light card that also reads on a dark page, equal bytes."""

import base64
import functools
import io
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from more_repro.report.svg import compact
from more_repro.schemes import (
    AVERAGING,
    CAUTIOUS,
    LENGTH,
    MINIMUM,
    ORACLE_CHOICE,
    PAPER,
    RANDOM_CHOICE,
    RAW,
    SFT,
    TOP,
    UNTUNED,
    WEIGHTED,
    WORST_CHOICE,
    Roles,
)

P = ParamSpec("P")

WIDTH = 9.0  # inches: 864 CSS pixels, the page's column
INK, MUTED, GRID, CARD, BAND = "#22262b", "#5b636d", "#e3e6ea", "#fdfdfc", "#c9ced6"
ACCENT = "#0072B2"  # of the method, and of what stands alone in a figure

# Okabe and Ito's palette, told apart with every common colour-vision deficiency; each scheme also has its own marker.
# The three of the paper's names are the looks of the roles, whatever a study calls the schemes that play them.
SCHEMES: dict[str, tuple[str, str, str]] = {
    RAW: ("#8a8f98", "X", "raw (untrained head)"),
    PAPER.single: ("#56B4E9", "v", "single source"),
    TOP: ("#56B4E9", "v", "top (single, own source)"),
    AVERAGING: ("#E69F00", "P", "averaging"),
    WEIGHTED: ("#8c6bb1", "H", "ensemble, weighted (by pairs)"),
    MINIMUM: ("#1f7a8c", "d", "ensemble, minimum (least member)"),
    CAUTIOUS: ("#7f8c00", "8", "ensemble, cautious (less variance)"),
    PAPER.reference: ("#D55E00", "s", "multitask"),
    PAPER.method: (ACCENT, "o", "more"),
    "more_slow": ("#009E73", "D", "more slow"),
    "proportional": ("#CC79A7", "^", "proportional"),
    "random": ("#A08A00", "<", "random"),
    "smoothed": ("#b0306a", "p", "smoothed (labels)"),
    "centered": ("#7a4b1e", "h", "centered (rewards)"),
    "sum_to_zero": ("#2f6f4f", ">", "sum to zero (rewards)"),
    LENGTH: ("#22262b", "_", "length rule"),
    UNTUNED: ("#8a8f98", "X", "untuned"),
    SFT: ("#22262b", "d", "sft"),
    RANDOM_CHOICE: ("#A08A00", "<", "random choice"),
    WORST_CHOICE: ("#5b2a2a", "x", "worst choice"),
    ORACLE_CHOICE: ("#6b4fa0", "*", "oracle choice"),
}
_SPARE = ("#6b4fa0", "#3d5a80", "#8a6d00", "#5b2a2a", "#1f7a8c", "#c2570c")
_SPARE_MARKERS = ("8", "H", "1", "2", "d", "*")
SOURCE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b4fa0", "#7a4b1e", "#5b636d")
SOURCE_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

_RC: dict[Any, Any] = {
    **sns.axes_style("whitegrid"),
    "figure.facecolor": CARD,
    "axes.facecolor": CARD,
    "savefig.facecolor": CARD,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "figure.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#9aa1ab",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "more-repro",
    "svg.fonttype": "path",
    # Source names, words and responses are data: a dollar sign in them is no formula.
    "text.parse_math": False,
    "axes.unicode_minus": True,
}


class NotMeasured(ValueError):
    """A figure has nothing to draw; the message is the reason that its panel states."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a figure function in the house style; NotMeasured becomes a panel that says so."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_RC):
            try:
                return draw(*args, **kwargs)
            except NotMeasured as reason:
                return not_measured(str(reason))

    return wrapper


def not_measured(reason: str) -> Figure:
    """A plain panel: "not measured", and why."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(WIDTH, 1.2))
        text = textwrap.fill(f"not measured: {reason}", 110)
        figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, fontsize=10)
        return figure


def grid(n_panels: int, n_columns: int, height: float, **shared: bool) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with n panels, row by row, each `height` inches high."""
    n_columns = max(1, min(n_columns, n_panels))
    n_rows = -(-n_panels // n_columns)
    figure = Figure(figsize=(WIDTH, height * n_rows + 0.45), layout="constrained")
    axes = figure.subplots(
        n_rows, n_columns, squeeze=False, sharex=shared.get("sharex", False), sharey=shared.get("sharey", False)
    )
    flat = list(axes.ravel())
    for unused in flat[n_panels:]:
        unused.set_axis_off()
    for lowest in flat[max(0, n_panels - n_columns) : n_panels]:
        lowest.tick_params(labelbottom=True)
    return figure, flat[:n_panels]


def from_zero(axes: Iterable[Axes]) -> None:
    """Let y start at 0, once everything is drawn: a limit set earlier would be that of the first panel."""
    for axis in axes:
        axis.set_ylim(bottom=0)


def scheme_colour(scheme: str, roles: Roles) -> str:
    """The colour of the role that a scheme plays, of its name, or a spare one."""
    known = _known(scheme, roles)
    return _SPARE[_spare(scheme)] if known is None else SCHEMES[known][0]


def scheme_marker(scheme: str, roles: Roles) -> str:
    """As `scheme_colour`."""
    known = _known(scheme, roles)
    return _SPARE_MARKERS[_spare(scheme)] if known is None else SCHEMES[known][1]


def scheme_label(scheme: str) -> str:
    """A scheme's name with what it means, for a legend."""
    return SCHEMES[scheme][2] if scheme in SCHEMES else short(scheme)


def scheme_name(scheme: str) -> str:
    """A scheme's name alone, for ticks and tables."""
    return SCHEMES[scheme][2].partition(" (")[0] if scheme in SCHEMES else scheme


def _spare(scheme: str) -> int:
    """A fixed place for a scheme of the user's own: the same in every figure and every run."""
    return sum(scheme.encode()) % len(_SPARE)


def scheme_order(schemes: Iterable[str], roles: Roles) -> list[str]:
    """Known schemes in the house order, others after them in the order given."""
    house, played = list(SCHEMES), _played(roles)
    usual = {scheme: played.get(scheme, scheme) for scheme in schemes}
    return sorted(usual, key=lambda scheme: house.index(usual[scheme]) if usual[scheme] in SCHEMES else len(house))


def _known(scheme: str, roles: Roles) -> str | None:
    """The name in SCHEMES whose look a scheme has; a role's usual name gives none to a scheme that does not play it."""
    played = _played(roles)
    if scheme in played:
        return played[scheme]
    return scheme if scheme in SCHEMES and scheme not in played.values() else None


def _played(roles: Roles) -> dict[str, str]:
    """The role's usual name of each scheme that plays one."""
    return {roles.single: PAPER.single, roles.reference: PAPER.reference, roles.method: PAPER.method}


def source_line(number: int) -> dict[str, object]:
    """Colour and dash of the number-th source."""
    return {
        "color": SOURCE_COLOURS[number % len(SOURCE_COLOURS)],
        "linestyle": SOURCE_DASHES[number % len(SOURCE_DASHES)],
    }


def short(text: str, limit: int = 22) -> str:
    """Text that fits a tick: control characters gone, the middle left out where it is long."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= limit else f"{plain[: limit - 8]}…{plain[-7:]}"


def legend_below(figure: FigureBase, handles: list, columns: int = 5, title: str | None = None) -> None:
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), title=title)


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG: equal figures give equal bytes (no date, salted ids)."""
    buffer = io.StringIO()
    with mpl.rc_context(_RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return compact(buffer.getvalue()).encode("utf-8")


def png_bytes(figure: Figure, dpi: int = 144) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(_RC):
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook as PNG with its alt text, where nbconvert looks for it.

    Raises ValueError for an empty alt text: a reader who cannot see the figure reads that instead.
    """
    if not alt.strip():
        raise ValueError("a figure needs an alt text that says what it shows")
    from IPython.display import display

    data = base64.b64encode(png_bytes(figure)).decode("ascii")
    width = round(figure.get_figwidth() * 96)
    display({"image/png": data, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt, "width": width}})
