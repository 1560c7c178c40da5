"""Aligned policies, their judge and the ensembles."""

import pandas as pd

from more_repro.report.entries import Shown, TableEntry
from more_repro.report.paper_tables import paper
from more_repro.report.paper_tables.null_columns import with_null
from more_repro.report.row_selection import of_regime
from more_repro.report.run_tables import Study
from more_repro.schemes import ALL, AVERAGING, ENSEMBLES, NONE

_MODEL = ["regime", "trained_on", "seed"]


def _ensembles(study: Study) -> pd.DataFrame:
    """Table 2 of the ensembles, with averaging, multitask and more beside them, for every regime; none without them."""
    every = study.every("seed_summary")
    if not every["scheme"].isin(ENSEMBLES).any():
        return pd.DataFrame(columns=["data", "base", "regime", "scheme"])
    beside = (AVERAGING, study.roles.reference, study.roles.method)
    rows = every[every["scheme"].isin((*ENSEMBLES, *beside))]
    parts = []
    for regime in study.params.regimes:
        own = of_regime(rows, regime)
        if len(own):
            parts.append(
                with_null(study, {"table2": paper.table2(own, None, regime, roles=study.roles)}, regime)["table2"]
            )
    return pd.concat(parts, ignore_index=True)


def _of_all(table: pd.DataFrame) -> Shown:
    return table[table["source"] == ALL].drop(columns=["source", "n_invalid"], errors="ignore"), None


def _ranking(table: pd.DataFrame) -> Shown:
    rows = table[table["source"] == ALL].sort_values("strength", ascending=False)
    return rows.drop(columns="source"), None


def _best_of_n(table: pd.DataFrame) -> Shown:
    rows = table[(table["source"] == ALL) & (table["n"] == table["n"].max())]
    named = ("base " + rows["base"] + ", regime " + rows["regime"]).where(rows["base"] != NONE, "no base of its own")
    rows = rows.assign(group=named + ", n = " + rows["n"].astype("str"))
    return rows.drop(columns=["base", "regime", "source", "n", "kl_bound_nats", "n_prompts"]), "group"


def _perplexity(table: pd.DataFrame) -> Shown:
    rows = table.rename(columns={"mean_perplexity": "mean", "median_perplexity": "median"})
    rows = rows.rename(columns={"n_texts": "texts", "n_long": "long", "n_outliers": "outliers"})
    rows = rows.assign(group="perplexity on " + rows["source"])
    return rows.drop(columns=["base", "scheme", "source", "n_tokens", *_MODEL]), "group"


def _judge(table: pd.DataFrame) -> Shown:
    rows = table.assign(statistic=table["statistic"].str.replace("_", " "))
    return rows[["statistic", "source", "estimate", "low", "high", "n"]], None


def _ensemble_rows(table: pd.DataFrame) -> Shown:
    rows = table.drop(columns=["data", "base", "regime", "n_seeds", "n_pairs"], errors="ignore")
    return rows.assign(group="base " + table["base"] + ", regime " + table["regime"]), "group"


TABLES = (
    TableEntry(
        name="win_rates",
        title="Win rates of every policy",
        order=90,
        caption=(
            "Against two opponents on all prompts, net win with its interval over prompts; the CSV has each source too"
        ),
        rows=lambda s: s["win_rates"].drop(columns=["base", "regime", "scheme", "trained_on", "seed"]),
        shown=_of_all,
    ),
    TableEntry(
        name="ranking",
        title="Ranking of every policy",
        order=100,
        caption=(
            "Bradley-Terry strength in logits (mean 0; the difference of two is the logit of the points expected, a "
            "tie half a win each) and rank, with intervals over prompts, from every comparison that was judged; a "
            "policy that always or never won has its strength from one drawn game with a policy of strength 0, which "
            "all are given; the CSV has each source too"
        ),
        rows=lambda s: s["ranking"].drop(columns=["base", "scheme", *_MODEL]),
        shown=_ranking,
    ),
    TableEntry(
        name="best_of_n",
        title="Best-of-n at its largest n",
        order=110,
        caption=(
            "Judge's score of the sample that a scheme chooses, and its win, tie and lose against another sample of "
            "the same prompt, by exact expectation over all choices; intervals over prompts and seeds (over prompts "
            "alone with one seed). Best and worst: by the scheme's reward; the CSV has every n and source"
        ),
        rows=lambda s: s["best_of_n_schemes"],
        shown=_best_of_n,
    ),
    TableEntry(
        name="perplexity_texts",
        title="Perplexity of every policy",
        order=120,
        caption=(
            "On the chosen responses of the test pairs. Perplexity: of all tokens together, interval over texts; mean "
            "and median: over texts, of each one's own. Long: texts read in several windows; outliers: texts above "
            "10,000, which stay in"
        ),
        rows=lambda s: s["perplexity"],
        shown=_perplexity,
    ),
    TableEntry(
        name="judge_statistics",
        title="What the verdicts say of the judge",
        order=130,
        caption=(
            "Shares with intervals over prompts, then counts of the run. Longer: of decided verdicts, those for the "
            "response of more words. Of a judge that is asked twice also: agreement of the two orders, and how often "
            "a winner is the response in first place (one half: no position bias)"
        ),
        rows=lambda s: s["judge_statistics"],
        shown=_judge,
    ),
    TableEntry(
        name="ensembles",
        title="Ensembles of single-source models",
        order=140,
        caption=(
            "Accuracy per source, mean accuracy and mean ECE as in Table 2, intervals over seeds. Members are "
            "standardised on validation pairs; weighted: by the different pairs of each source; minimum: the least "
            "member; cautious: mean less 0.5 times the variance over members"
        ),
        rows=_ensembles,
        shown=_ensemble_rows,
    ),
)
