"""The part of the page that holds MORE against simpler controls: a sentence by rule for each regime, and one table."""

from collections.abc import Sequence

import pandas as pd

from more_repro.report import html
from more_repro.report.formatting import number, texts
from more_repro.report.run_tables import Study
from more_repro.report.style import scheme_name

TITLE = "Does MORE do more than simpler controls?"
INTRO = (
    "Weights known beforehand or drawn at random, and losses that hold rewards back, look at no gradient. Best-of-n "
    "picks the same response under any increasing transform of the reward: shrinking all margins alike moves ECE and "
    "no pick."
)
_DIGITS = {"ece": 4, "p": 4, "p_holm": 4}
_HEADS = {"against": "MORE minus", "mean_abs_margin": "size of margins"}
# Verdicts of the table, in the order in which a sentence tells them, and their words.
_WORDS = {
    "more does more": "does more than",
    "more does less": "does less than",
    "no difference that matters": "is the same, as far as it matters, as",
    "undecided": "is undecided against",
}


def controls_section(study: Study, rule: str) -> str:
    """Sentences, the table grouped by regime, and the rule that was written before the numbers."""
    rows = study["controls"]
    if rows.empty:
        return html.paragraph("Not measured: this run trained no reward model by MORE, or nothing to hold it against.")
    named = rows.assign(against=[scheme_name(name) for name in rows["against"]])
    first = ["against", "verdict"]
    sizes = ["regime", "n_bases", "n_models", "n_pairs"]
    shown = texts(named[[*first, *named.columns.drop([*first, *sizes])]], _DIGITS).rename(columns=_HEADS)
    caption = (
        "MORE minus each control: verdict; ECE with its p, accuracy and mean size of the margin, on the test pairs of "
        "all sources; intervals over seeds within bases."
    )
    groups = {regime: _group(regime, part) for regime, part in rows.groupby("regime", sort=False)}
    grouped = shown.assign(group=rows["regime"].map(groups))
    return "\n".join(
        [
            html.bullets([_sentence(regime, part) for regime, part in rows.groupby("regime", sort=False)], ""),
            html.paragraph(INTRO),
            html.table(grouped, caption, "dense", group="group"),
            f"<p>{html.link('tables/controls.csv', html.DATA)}</p>",
            html.details("The rule, written before the numbers", html.paragraph(rule)),
        ]
    )


def _group(regime: object, rows: pd.DataFrame) -> str:
    """The heading of a regime's rows: what they rest on, as a range where the rows differ."""
    sizes = []
    for column, word in (("n_models", "pairs of models"), ("n_bases", "bases"), ("n_pairs", "test pairs each")):
        ends = dict.fromkeys(number(int(end)) for end in (rows[column].min(), rows[column].max()))
        sizes.append(f"{' to '.join(ends)} {word}")
    return f"regime {regime}: {', '.join(sizes)}"


def _sentence(regime: object, rows: pd.DataFrame) -> str:
    """By the verdicts of one regime's rows, with the number of models and test pairs."""
    found = []
    for verdict, words in _WORDS.items():
        names = [scheme_name(name) for name in rows.loc[rows["verdict"] == verdict, "against"]]
        if names:
            found.append(f"{words} {_listed(names)}")
    n_models, n_pairs = (number(int(rows[column].min())) for column in ("n_models", "n_pairs"))
    sizes = f"{n_models} pairs of models, {n_pairs} test pairs each"
    return f"Regime {regime}: by ECE at comparable accuracy, MORE {'; '.join(found)} ({sizes})."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
