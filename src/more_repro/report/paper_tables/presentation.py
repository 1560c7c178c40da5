"""Tables 1 to 6 as the page shows them: captions, and which rows and columns fit."""

from collections.abc import Callable

import pandas as pd

from more_repro.report.entries import Shown
from more_repro.report.formatting import number
from more_repro.report.paper_tables.null_columns import FAR, MARK
from more_repro.report.paper_tables.paper import THIS_RUN
from more_repro.report.run_tables import Study
from more_repro.schemes import NONE


def caption(study: Study, table: pd.DataFrame, number_: str, regime: str) -> str:
    """What a table of the paper shows, without the last period. number_: "table1"; Tables 4 to 6 are of one kind."""
    return _CAPTIONS.get(number_, _outliers)(study, table, regime)


def shown(table: pd.DataFrame) -> Shown:
    """Rows in groups of data and base; sizes stand in the caption."""
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
