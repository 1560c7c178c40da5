"""The tables of the page: the paper's own, and those that a careful reader asks for next."""

from collections.abc import Callable, Mapping
from html import escape

import pandas as pd

from more_repro.report import html
from more_repro.report.figures.alignment import TERMS
from more_repro.report.formatting import number, texts
from more_repro.report.run_tables import Study, placebo_sentences
from more_repro.report.tables import alignment, calibration
from more_repro.report.tables import data as data_tables
from more_repro.report.tables.null_columns import FAR, MARK, folded
from more_repro.report.tables.paper import THIS_RUN
from more_repro.schemes import ALIGN, ALL, NONE, Roles

_WIDE = 7  # more columns than this are set in smaller type
_DIGITS = {"ece": 4, "mean_passes": 1, "positive_count": 1, "negative_count": 1, "p": 4, "p_holm": 4}


def tables_section(study: Study, paper_tables: Mapping[str, pd.DataFrame]) -> str:
    """Tables 1 to 6 for the report's regime; those of other regimes (`<name>-<regime>`) and further tables folded."""
    main: list[str] = []
    others: list[str] = []
    for name, table in paper_tables.items():
        number_, _, regime = name.partition("-")
        heading = f"Table {number_.removeprefix('table')}" + (f", regime {regime}" if regime else "")
        describe = _CAPTIONS.get(number_, _outliers)
        text = _one(name, heading, describe(study, table, regime or study.regime), table, study.roles)
        (others if regime else main).append(text)
    parts = ["\n".join(main)]
    if others:
        parts.append(html.details("The same tables for the other regimes", "\n".join(others)))
    parts += [
        html.details(title, _one(name, title, text, rows, study.roles))
        for name, title, text, rows in further_tables(study)
    ]
    return "\n".join(parts)


def further_tables(study: Study) -> list[tuple[str, str, str, pd.DataFrame]]:
    """(name, title, caption, rows) of the tables beyond the paper's."""
    against = study["comparisons"]
    against = against[against["against"] == study.roles.reference]
    shown = ("accuracy", "log_loss", "log_slope", "ece")
    against = against[against["source"].isin((ALL, ALIGN)) & against["metric"].isin(shown)]
    return [
        ("comparisons", "Every scheme against multitask",
         "Difference from multitask of the same base, regime and seed on the same pairs, interval over seeds; Holm's p "
         "is corrected within its family", against),
        *calibration.calibration_tables(study),
        ("regression", "The coefficient of ECE in every regression",
         " ".join(["By data, outcome and method; for net win also its parts, its halves and the slope",
                   *placebo_sentences(study["regression"])]).rstrip("."), study["regression"]),
        *alignment.alignment_tables(study),
        *data_tables.data_tables(study),
    ]  # fmt: skip


def _one(name: str, heading: str, caption: str, table: pd.DataFrame, roles: Roles) -> str:
    rows, group = _shown(name, table)
    digits = _DIGITS | {column: 2 for column in rows.columns if column.startswith("perplexity")}
    shown = texts(rows, digits)
    if "ece_difference" in rows.columns:
        shown = folded(shown, rows, roles)
    css = data_tables.css(name) or ("dense" if len(shown.columns) > _WIDE else "")
    return (
        f'<h3 id="table-{escape(name, quote=True)}">{escape(heading)}</h3>\n'
        + html.table(shown, f"{caption[0].upper()}{caption[1:]}.", css, group)
        + f"\n<p>{html.link(f'tables/{name}.csv', html.DATA)}</p>"
    )


def _shown(name: str, table: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """The rows and columns that fit a page, and the column that heads groups of rows; the CSV has all."""
    if data_tables.knows(name):
        return data_tables.shown(name, table)
    for module in (calibration, alignment):
        if module.knows(name):
            return module.shown(name, table)
    if name == "regression":
        named = table["data"] + ": " + table["outcome"].str.replace("_", " ")
        parts = table["outcome"].eq("net_win") & table["term"].isin(TERMS)
        named += ", " + table["term"].map(TERMS).fillna(table["term"])
        rows = table.assign(group=named)[(table["term"].eq("ece") | parts) & table["estimate"].notna()]
        return rows.drop(columns=["data", "outcome", "term"]), "group"
    if name == "comparisons":
        named = "base " + table["base"] + ", regime " + table["regime"]
        return table.assign(group=named).drop(columns=["base", "regime", "trained_on", "against"]), "group"
    if "data" not in table.columns or "base" not in table.columns:
        return table, None
    groups = [_group(str(d), str(b)) for d, b in zip(table["data"], table["base"], strict=True)]
    rest = table.drop(columns=["data", "base", "regime", "n_seeds", "n_pairs", "n_prompts"], errors="ignore")
    return rest.assign(group=pd.Series(groups, index=table.index, dtype="str")), "group"


def _group(data: str, base: str) -> str:
    """Data and base in one heading; the published names of bases have their points back."""
    if data != THIS_RUN:
        return data.replace("_", ".")
    return "this run, no base of its own" if base == NONE else f"this run, base {base}"


def _sizes(table: pd.DataFrame) -> str:
    """Seeds and pairs that the rows of this run's trained reward models rest on."""
    parts = []
    ours = table[table["base"].ne(NONE) & table["data"].eq(THIS_RUN)] if "base" in table.columns else table
    for column, word in (("n_seeds", "seeds"), ("n_pairs", "test pairs"), ("n_prompts", "judged prompts")):
        values = ours[column].dropna() if column in ours.columns else pd.Series(dtype="float64")
        if len(values):
            low, high = number(int(values.min())), number(int(values.max()))
            parts.append(f"{word}: {low}" if low == high else f"{word}: {low} to {high}")
    return "This run's " + "; ".join(parts) if parts else "No rows of this run"


def _outliers(study: Study, table: pd.DataFrame, regime: str) -> str:
    return (
        "outliers of the margin (beyond 1.5 interquartile ranges of the box): count and mean above and below, with "
        f"ECE; regime {regime}, means over seeds; single source is the model of that source. {_NULL} {_sizes(table)}"
    )


_NULL = (
    "Below an ECE, null: the ECE [band] of a calibrated model at that number of pairs; "
    f"{MARK}: it lies more than {FAR:g} from that of multitask, so the two ECEs cannot be compared as they stand. "
    "Below the printed ECE of more: its difference from multitask, and the noise band of that difference; for this "
    "run's differences see the pairs of reward models below."
)
_CAPTIONS: dict[str, Callable[[Study, pd.DataFrame, str], str]] = {
    "table1": lambda s, t, regime: (
        f"reward models and the policies they aligned, regime {regime}. Accuracy and ECE on "
        f"{' and '.join(s.params.align.sources)} pooled (the published ECE is the mean of the two), intervals over "
        "seeds; perplexity: mean over texts as printed (there a text above 10,000 counts as 0, here as what it is) "
        "[lowest, highest seed]; untuned: the policy before alignment; win, tie, lose of the row's scheme against "
        "multitask, net win with "
        f"its interval over prompts. {_NULL} {_sizes(t)}"
    ),
    "table2": lambda s, t, regime: (
        f"accuracy per source, their mean, and the mean ECE, regime {regime}, intervals over seeds (the length rule's "
        f"over prompts); top: each source's own single model. {_NULL} {_sizes(t)}"
    ),
    "table3": lambda s, t, regime: (
        "pairs kept of each source, ties that were dropped, different pairs in the mixture, pairs after resampling, "
        f"passes over each; regime {regime}; published counts beside, which include ties"
    ),
}
