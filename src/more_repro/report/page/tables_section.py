"""The tables of the page: the paper's own, and those that a careful reader asks for next."""

from collections.abc import Mapping
from html import escape

import pandas as pd

from more_repro.report import catalogue, html
from more_repro.report.entries import Shown
from more_repro.report.formatting import texts
from more_repro.report.paper_tables import presentation
from more_repro.report.paper_tables.null_columns import folded
from more_repro.report.run_tables import Study
from more_repro.schemes import Roles

_WIDE = 7  # more columns than this are set in smaller type
_DIGITS = {"ece": 4, "mean_passes": 1, "positive_count": 1, "negative_count": 1, "p": 4, "p_holm": 4}


def tables_section(study: Study, paper_tables: Mapping[str, pd.DataFrame]) -> str:
    """Tables 1 to 6 for the report's regime; those of other regimes (`<name>-<regime>`) and further tables folded."""
    main: list[str] = []
    others: list[str] = []
    for name, table in paper_tables.items():
        number, _, regime = name.partition("-")
        heading = f"Table {number.removeprefix('table')}" + (f", regime {regime}" if regime else "")
        caption = presentation.caption(study, table, number, regime or study.regime)
        (others if regime else main).append(_one(name, heading, caption, presentation.shown(table), study.roles))
    parts = ["\n".join(main)]
    if others:
        parts.append(html.details("The same tables for the other regimes", "\n".join(others)))
    for entry in catalogue.tables():
        shown = entry.shown(entry.rows(study))
        text = _one(entry.name, entry.title, entry.caption_of(study), shown, study.roles, entry.css)
        parts.append(html.details(entry.title, text))
    return "\n".join(parts)


def _one(name: str, heading: str, caption: str, shown: Shown, roles: Roles, css: str = "") -> str:
    rows, group = shown
    digits = _DIGITS | {column: 2 for column in rows.columns if column.startswith("perplexity")}
    told = texts(rows, digits)
    if "ece_difference" in rows.columns:
        told = folded(told, rows, roles)
    css = css or ("dense" if len(told.columns) > _WIDE else "")
    return (
        f'<h3 id="table-{escape(name, quote=True)}">{escape(heading)}</h3>\n'
        + html.table(told, f"{caption[0].upper()}{caption[1:]}.", css, group)
        + f"\n<p>{html.link(f'tables/{name}.csv', html.DATA)}</p>"
    )
