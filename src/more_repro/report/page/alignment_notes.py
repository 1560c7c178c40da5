"""What a reader must know of the judge, of best-of-n and of ensembles: sentences that follow from the tables."""

import pandas as pd

from more_repro.report.formatting import interval, number
from more_repro.report.row_selection import of_regime
from more_repro.report.run_tables import Study
from more_repro.schemes import ALL, BEST, ENSEMBLES, NONE

# What is told of a judge, and how.
_STATISTICS = {
    "tie": "ties",
    "invalid": "invalid",
    "agreement": "agreement of the two orders",
    "first_place": "first place named (0.5: no position bias)",
    "longer": "longer response preferred (0.5: length plays no part)",
}


def alignment_notes(study: Study) -> list[str]:
    """Sentences on judge, over-optimisation and ensembles; what was not measured is left out."""
    return [*_judge_note(study), *_over_note(study), *_ensemble_note(study)]


def _judge_note(study: Study) -> list[str]:
    if study["judge"].empty:
        return []
    rows = study["judge_statistics"]
    rows = rows[rows["source"] == ALL].drop_duplicates("statistic").set_index("statistic")
    told = [
        f"{text} {interval(rows['estimate'][name], rows['low'][name], rows['high'][name])}"
        for name, text in _STATISTICS.items()
        if name in rows.index
    ]
    n = f", n = {number(int(rows['n'].max()))} verdicts" if told else ""
    return [study["judge"]["note"].iloc[0] + (f" Shares of its verdicts{n}: {'; '.join(told)}." if told else "")]


def _over_note(study: Study) -> list[str]:
    """Per base: how many schemes' scores are highest at the largest n, and which fall before it. A count, no test."""
    rows = of_regime(study["best_of_n_schemes"], study.regime)
    rows = rows[(rows["source"] == ALL) & (rows["choice"] == BEST)]
    told = []
    for base, part in rows.groupby("base", sort=False):
        peaks = part.loc[part.groupby("scheme", sort=False)["gold"].idxmax()]
        largest = int(part["n"].max())
        early = peaks[peaks["n"] < largest]
        names = ", ".join(f"{scheme} at n = {n}" for scheme, n in zip(early["scheme"], early["n"], strict=True))
        where = "" if base == NONE else f"base {base}, "
        told.append(
            f"Over-optimisation ({where}regime {study.regime}, {number(int(part['n_prompts'].max()))} prompts): the "
            f"judge's score of best-of-n is highest at the largest n = {largest} for {len(peaks) - len(early)} of "
            f"{len(peaks)} schemes{f'; before it: {names}' if names else ''}. A count of curves, not a test."
        )
    return told


def _ensemble_note(study: Study) -> list[str]:
    present = set(pd.concat([study.every("seed_summary")["scheme"], study["best_of_n_schemes"]["scheme"]]))
    if not present & set(ENSEMBLES):
        return []
    return [
        "Ensembles are further reward functions of the same single-source models that averaging takes the mean of. "
        "Their members are standardised on the validation pairs first; averaging, as in the paper, takes rewards as "
        "they are, so a member with large rewards counts for more. They are no schemes of the paper: its figures and "
        "tables leave them out, and they have a table of their own."
    ]
