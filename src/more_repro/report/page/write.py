"""Writes the report's files: whole or not at all, and equal bytes for equal input."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from more_repro.report import catalogue, style
from more_repro.report.entries import FigureEntry
from more_repro.report.html import Picture
from more_repro.report.run_tables import Study, caption_facts
from more_repro.store.atomic import write_bytes, write_text


def write_figures(study: Study, folder: Path) -> dict[str, Picture]:
    """Draw every figure: <name>.svg and the rows that it shows, <name>.csv; by name, as the page needs them.

    Figures of a regime are drawn for each one; those of other regimes than the report's are `<name>-<regime>`.
    """
    pictures = {}
    for entry in catalogue.figures():
        regimes = [study.regime, *(study.other_regimes if entry.per_regime else [])]
        for regime in regimes:
            name = entry.name if regime == study.regime else f"{entry.name}-{regime}"
            pictures[name] = _write_figure(study, entry, regime, name, folder)
    return pictures


def _write_figure(study: Study, entry: FigureEntry, regime: str, name: str, folder: Path) -> Picture:
    figure = entry.draw(study, regime)
    write_bytes(folder / f"{name}.svg", style.svg_bytes(figure))
    rows = entry.rows(study, regime)
    # Most bins of a common histogram are empty, and what is not listed is 0.
    write_table(folder / f"{name}.csv", rows[rows["density"] > 0] if "density" in rows.columns else rows)
    width, height = (round(inches * 96) for inches in figure.get_size_inches())
    where = f" Regime {regime}." if entry.per_regime else ""
    caption = entry.caption.format(**caption_facts(study), regime=regime)
    return Picture(name, entry.title, caption + where, entry.alt, width, height)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A table as CSV, six significant digits."""
    write_text(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
