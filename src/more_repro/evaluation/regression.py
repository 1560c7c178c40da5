"""Alignment quality on calibration, at equal accuracy, within base and regime (claim C6): the table "regression"."""

from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation import within
from more_repro.evaluation.design import MAIN, SPLIT, outcomes
from more_repro.evaluation.intervals import Interval, Vector
from more_repro.evaluation.permutation import freedman_lane, group_permutations
from more_repro.evaluation.randomness import generator
from more_repro.evaluation.sensitivity import mundlak, pooled_ols
from more_repro.params import Stats

PERMUTATION = "within-group permutation"  # primary: p by permutation, limits from the fixed-effects t
FIXED = "fixed effects, t"
HC3 = "fixed effects, HC3"
CRV3 = "fixed effects, CRV3 jackknife"
SCHEMES = "fixed effects and scheme effects, t"
MUNDLAK = "Mundlak mixed model"
NAIVE = "pooled OLS, naive"
FEW = 12  # reward models below which a regression only describes


def regression_table(design: pd.DataFrame, data: str, stats: Stats) -> pd.DataFrame:
    """Rows of table "regression" for every outcome of a design (see `design_table`), terms by all methods.

    Two models per outcome: ece + accuracy, and, where the design has it, ece_temperature + ece_shape + accuracy (its
    accuracy is not shown again). Slopes are in the outcome's unit per 1.0 of the term. Rows with a missing value are
    dropped and counted in the note.
    """
    rows: list[dict[str, Any]] = []
    for outcome in outcomes(design):
        for terms in (MAIN, SPLIT):
            if not set(terms) <= set(design.columns):
                continue
            shown = terms if terms == MAIN else terms[:-1]
            for one in _model_rows(design, outcome, terms, stats):
                if one["term"] in shown:
                    rows.append({"data": data, "outcome": outcome} | one)
    return tables.check(pd.DataFrame(rows), "regression") if rows else tables.empty("regression")


def _model_rows(design: pd.DataFrame, outcome: str, terms: tuple[str, ...], stats: Stats) -> list[dict[str, Any]]:
    complete = design.dropna(subset=[outcome, *terms]).reset_index(drop=True)
    n = len(complete)
    basics = [f"descriptive only: {n} reward models, fewer than {FEW}"] if n < FEW else []
    if n < len(design):
        basics.append(f"{len(design) - n} rows without a value dropped")
    rows = []
    for term in range(len(terms)):
        for method, (interval, note) in _methods(complete, outcome, terms, term, stats).items():
            rows.append(
                {"term": terms[term], "method": method, **interval.columns(), "p": interval.p, "n": n}
                | {"n_groups": complete["group"].nunique(), "note": "; ".join([*filter(None, [note]), *basics])}
            )
    return rows


def _methods(
    table: pd.DataFrame, outcome: str, terms: tuple[str, ...], term: int, stats: Stats
) -> dict[str, tuple[Interval, str]]:
    y = table[outcome].to_numpy(np.float64)
    x = table[list(terms)].to_numpy(np.float64)
    none = within.undetermined(y.size)
    if y.size == 0:
        return {PERMUTATION: (none, "no reward model has all values")}
    data = within.demeaned(y, x, list(table["group"]))
    naive = (pooled_ols(y, x, term, stats.confidence), "groups ignored: no evidence, shown for comparison")
    if not data.solvable:
        return {PERMUTATION: (none, "terms do not vary within groups, or are collinear there"), NAIVE: naive}
    fixed = within.t_test(data, term, stats.confidence)
    return {
        PERMUTATION: _primary(data, term, fixed, stats),
        FIXED: (fixed, "" if data.df > 0 else "no degree of freedom left"),
        HC3: _noted(within.hc3(data, term, stats.confidence), "a row with leverage one"),
        CRV3: _noted(within.jackknife(data, term, stats.confidence), "one group, or undetermined without one"),
        SCHEMES: _with_schemes(table, y, x, term, stats),
        MUNDLAK: mundlak(y, x, data.groups, term, stats.confidence),
        NAIVE: naive,
    }


def _primary(data: within.Within, term: int, fixed: Interval, stats: Stats) -> tuple[Interval, str]:
    orders, exact = group_permutations(data.groups, stats.permutation_draws, generator(stats.seed, "permutation"))
    p = freedman_lane(data, term, orders, exact)
    note = f"all {len(orders)} permutations" if exact else f"{len(orders)} random permutations"
    return Interval(fixed.estimate, fixed.low, fixed.high, p, fixed.n), note


def _with_schemes(table: pd.DataFrame, y: Vector, x: within.Matrix, term: int, stats: Stats) -> tuple[Interval, str]:
    dummies = pd.get_dummies(table["scheme"], drop_first=True).to_numpy(np.float64)
    data = within.demeaned(y, np.column_stack([x, dummies]), list(table["group"]))
    if not data.solvable:
        return within.undetermined(y.size), "collinear with the schemes"
    if data.df <= 0:
        return within.undetermined(y.size), "no degree of freedom left"
    return within.t_test(data, term, stats.confidence), ""


def _noted(interval: Interval, reason: str) -> tuple[Interval, str]:
    return interval, "" if np.isfinite(interval.low) else f"no interval: {reason}"
