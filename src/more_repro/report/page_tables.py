"""The tables of the page: the paper's own, and those that a careful reader asks for next."""

from collections.abc import Callable, Mapping
from html import escape

import pandas as pd

from more_repro.report import html
from more_repro.report.formatting import number, texts
from more_repro.report.paper_tables import THIS_RUN
from more_repro.report.study import Study

_DIGITS = {"ece": 4, "mean_passes": 1, "positive_count": 1, "negative_count": 1, "p": 4, "p_holm": 4}


def tables_section(study: Study, paper_tables: Mapping[str, pd.DataFrame]) -> str:
    """Tables 1 to 6 for the report's regime; those of other regimes (`<name>-<regime>`) and further tables folded."""
    main: list[str] = []
    others: list[str] = []
    for name, table in paper_tables.items():
        number_, _, regime = name.partition("-")
        heading = f"Table {number_.removeprefix('table')}" + (f", regime {regime}" if regime else "")
        describe = _CAPTIONS.get(number_, _outliers)
        text = _one(name, heading, describe(study, table, regime or study.regime), table)
        (others if regime else main).append(text)
    parts = ["\n".join(main)]
    if others:
        parts.append(html.details("The same tables for the other regimes", "\n".join(others)))
    parts += [html.details(title, _one(name, title, text, rows)) for name, title, text, rows in further_tables(study)]
    return "\n".join(parts)


def further_tables(study: Study) -> list[tuple[str, str, str, pd.DataFrame]]:
    """(name, title, caption, rows) of the tables beyond the paper's."""
    against = study["comparisons"]
    against = against[
        against["source"].isin(("all", "align", "mean")) & against["metric"].isin(("accuracy", "ece", "slope"))
    ]
    return [
        ("comparisons", "Every scheme against multitask",
         "Difference from multitask of the same base, regime and seed on the same pairs, interval over seeds; p_holm "
         "is "
         "corrected within its family", against),
        ("regression", "Every row of the regression", "Coefficients by outcome, term and method", study["regression"]),
        ("win_rates", "Win rates of every policy", "Against two opponents; net win with its interval over prompts",
         study["win_rates"].drop(columns=["base", "regime", "scheme", "trained_on", "seed"])),
        ("audit", "What happened to every pair that was read", "Pairs by source, split and reason", study["audit"]),
        ("audit_sources", "Where the pairs come from", "Origin, licence and digest of each source",
         study["audit_sources"]),
    ]  # fmt: skip


def _one(name: str, heading: str, caption: str, table: pd.DataFrame) -> str:
    return (
        f'<h3 id="table-{escape(name, quote=True)}">{escape(heading)}</h3>\n'
        + html.table(texts(_named(table), _DIGITS), f"{heading}: {caption}.")
        + f"\n<p>{html.link(f'tables/{name}.csv', 'Data (CSV)')}</p>"
    )


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """For reading: data and base in one column, the regime left to the caption."""
    if "data" not in table.columns or "base" not in table.columns:
        return table
    names = [
        d if d != THIS_RUN else THIS_RUN if b == "none" else f"{THIS_RUN}: {b}"
        for d, b in zip(table["data"], table["base"], strict=True)
    ]
    rest = table.drop(columns=["data", "base", "regime"], errors="ignore")
    return pd.concat([pd.DataFrame({"base": names}, index=table.index, dtype="str"), rest], axis=1)


def _sizes(table: pd.DataFrame) -> str:
    """Seeds and pairs that the rows of this run rest on."""
    parts = []
    for column, word in (("n_seeds", "seeds"), ("n_pairs", "test pairs"), ("n_prompts", "judged prompts")):
        values = table[column].dropna() if column in table.columns else pd.Series(dtype="float64")
        if len(values):
            low, high = number(int(values.min())), number(int(values.max()))
            parts.append(f"{word}: {low}" if low == high else f"{word}: {low} to {high}")
    return "; ".join(parts) or "no rows of this run"


def _outliers(study: Study, table: pd.DataFrame, regime: str) -> str:
    return (
        "outliers of the margin (beyond 1.5 interquartile ranges of the box): count and mean above and below, with "
        "ECE; "
        f"regime {regime}, means over seeds. {_sizes(table)}"
    )


_CAPTIONS: dict[str, Callable[[Study, pd.DataFrame, str], str]] = {
    "table1": lambda s, t, regime: (
        f"reward models and the policies they aligned, regime {regime}. Accuracy and ECE on "
        f"{' and '.join(s.params.align.sources)} pooled (the published ECE is the mean of the two), intervals over "
        f"seeds; "
        "perplexity [lowest, highest seed]; win, tie, lose of the row's scheme against multitask, net with its "
        "interval "
        f"over prompts. {_sizes(t)}"
    ),
    "table2": lambda s, t, regime: (
        f"accuracy per source, their mean, and the mean ECE, regime {regime}, intervals over seeds. {_sizes(t)}"
    ),
    "table3": lambda s, t, regime: (
        "pairs kept of each source, different pairs in the mixture, pairs after resampling, passes over each; "
        f"regime {regime}; published counts beside"
    ),
}
