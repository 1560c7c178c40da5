"""Does MORE do more than what is simpler? MORE against each control, the rule written before any number was seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.claims.rules import COMPARABLE, ECE
from more_repro.evaluation.comparisons.over_seeds import compared_metrics, difference
from more_repro.params import Stats
from more_repro.schemes import ALL, MIXTURE, Roles
from more_repro.stats.intervals import NAN, Interval, stratified_mean
from more_repro.stats.multiple_testing import holm

BETTER, WORSE, SAME, UNDECIDED = "more does more", "more does less", "no difference that matters", "undecided"

RULE = (
    "MORE minus the control on the test pairs of all sources, mean over bases of the mean over seeds, t from the "
    "spread over seeds within base (no interval where seeds do not differ at all; the noise of the test pairs, which "
    "seeds share, is not in it). First: no difference that matters, where the interval of ECE lies within "
    f"{ECE} of zero and that of accuracy within {COMPARABLE}. Else MORE does more: its ECE is lower (Holm p over the "
    f"rows of the regime below 1 - confidence) and its accuracy's interval lies above -{COMPARABLE}. MORE does less: "
    f"its ECE is higher (the same test) and its accuracy's interval lies below {COMPARABLE}. Undecided: none of these."
)


def controls_table(metrics: pd.DataFrame, stats: Stats, roles: Roles, controls: Sequence[str]) -> pd.DataFrame:
    """Table "controls": MORE minus multitask and minus each control, a row for each regime, with the verdict by RULE.

    n_models: pairs of models (bases x seeds). p is that of ECE, p_holm is over the rows of one regime. Without two
    seeds of some base there is no interval, and every verdict is "undecided".
    """
    long = compared_metrics(metrics, roles)
    long = long[(long["trained_on"] == MIXTURE) & (long["source"] == ALL)]
    of_method = long[long["scheme"] == roles.method]
    rows: list[dict[str, Any]] = []
    for against in (roles.reference, *controls):
        pairs = difference(long, against, of_method)
        for regime, part in pairs.groupby("regime", sort=True):
            rows.append({"regime": regime, "against": against} | _row(part, stats))
    if not rows:
        return tables.empty("controls")
    table = pd.DataFrame(rows)
    for _, index in table.groupby("regime").groups.items():
        table.loc[index, "p_holm"] = holm(table.loc[index, "p"])
    table["verdict"] = [_verdict(row, stats) for row in table.to_dict("records")]
    return tables.check(table, "controls")


def _row(part: pd.DataFrame, stats: Stats) -> dict[str, Any]:
    found = {name: _interval(part, name, stats) for name in ("ece", "accuracy", "mean_abs_margin")}
    return {
        "p": found["ece"].p,
        "p_holm": NAN,
        "n_bases": int(part["base"].nunique()),
        "n_models": found["ece"].n,
        "n_pairs": int(part["n_pairs"].min()),
    } | {
        f"{name}{end}": value
        for name, interval in found.items()
        for end, value in (("", interval.estimate), ("_low", interval.low), ("_high", interval.high))
    }


def _interval(part: pd.DataFrame, metric: str, stats: Stats) -> Interval:
    rows = part[(part["metric"] == metric) & part["difference"].notna()]
    return stratified_mean(rows["difference"].to_numpy(np.float64), list(rows["base"]), stats.confidence)


def _verdict(row: Mapping[Any, Any], stats: Stats) -> str:
    """One of four, by RULE; a limit or p that does not exist decides nothing."""
    small = row["ece_low"] > -ECE and row["ece_high"] < ECE
    no_worse, no_better = row["accuracy_low"] > -COMPARABLE, row["accuracy_high"] < COMPARABLE
    if small and no_worse and no_better:
        return SAME
    differs = row["p_holm"] < 1 - stats.confidence
    if differs and row["ece"] < 0 and no_worse and not small:
        return BETTER
    return WORSE if differs and row["ece"] > 0 and no_better and not small else UNDECIDED
