"""Alignment quality on calibration, at equal accuracy, within base and regime (claim C6): the table "regression"."""

from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.regression import fixed_effects
from more_repro.evaluation.regression.design import HALVES, MAIN, SLOPE, SPLIT, outcomes
from more_repro.evaluation.regression.errors_in_variables import corrected
from more_repro.evaluation.regression.permutation import (
    block_permutations,
    freedman_lane,
    group_permutations,
)
from more_repro.evaluation.regression.sensitivity import mundlak, pooled_ols
from more_repro.params import Stats
from more_repro.stats.intervals import NAN, Codes, Interval, Vector
from more_repro.stats.multiple_testing import holm
from more_repro.stats.random import generator

# Primary: whole schemes change places, their seeds together; limits by fixed effects, errors clustered by scheme.
PERMUTATION = "within-group permutation of schemes"
ALIKE = "permutation of schemes, the same in all groups"  # holds where a scheme does the same in every base
ROWS = "permutation of single rows within groups"  # takes the seeds of a scheme for independent evidence
FIXED = "fixed effects, t"
HC3 = "fixed effects, HC3"
CRV3 = "fixed effects, CRV3 jackknife"
SCHEMES = "fixed effects and scheme effects, t"
SEEDS = "fixed effects and seed effects, t"
NOISY = "fixed effects, errors in variables"
MUNDLAK = "Mundlak mixed model"
NAIVE = "pooled OLS, naive"
FEW = 12  # reward models below which a regression only describes


def regression_table(design: pd.DataFrame, data: str, stats: Stats) -> pd.DataFrame:
    """Rows of table "regression" for every outcome of a design (see `design_table`), terms by all methods.

    Models per outcome: ece + accuracy, and, where the design has their columns, ece_temperature + ece_shape + accuracy,
    slope + accuracy, and ECE of one half of the pairs + accuracy of the other (accuracy is shown of the first alone,
    the last two by fewer methods). Slopes are in the outcome's unit per 1.0 of the term. Rows with a missing value are
    dropped and counted in the note. p_holm: the primary p over the outcomes, for each term.
    """
    rows: list[dict[str, Any]] = []
    for outcome in outcomes(design):
        for terms in (MAIN, SPLIT, SLOPE, *HALVES):
            if not set(terms) <= set(design.columns):
                continue
            shown = terms if terms == MAIN else terms[:-1]
            for one in _model_rows(design, outcome, terms, stats):
                if one["term"] in shown:
                    rows.append({"data": data, "outcome": outcome} | one)
    if not rows:
        return tables.empty("regression")
    table = pd.DataFrame(rows).assign(p_holm=NAN)
    for _, index in table[table["method"] == PERMUTATION].groupby("term").groups.items():
        table.loc[index, "p_holm"] = holm(table.loc[index, "p"])
    return tables.check(table, "regression")


def _model_rows(design: pd.DataFrame, outcome: str, terms: tuple[str, ...], stats: Stats) -> list[dict[str, Any]]:
    complete = design.dropna(subset=[outcome, *terms]).reset_index(drop=True)
    n = len(complete)
    basics = [f"descriptive only: {n} reward models, fewer than {FEW}"] if n < FEW else []
    if n < len(design):
        basics.append(f"{len(design) - n} rows without a value dropped")
    rows = []
    for term, name in enumerate(terms):
        inflation = _inflation(complete, terms, term)
        own = ["placebo: best-of-n cannot see it"] if name == "ece_temperature" else []
        for method, (interval, note) in _methods(complete, outcome, terms, term, stats).items():
            rows.append(
                {"term": name, "method": method, **interval.columns(), "p": interval.p, "n": n, "vif": inflation}
                | {"n_groups": complete["group"].nunique(), "note": "; ".join([*filter(None, [note]), *own, *basics])}
            )
    return rows


def _inflation(table: pd.DataFrame, terms: tuple[str, ...], term: int) -> float:
    if table.empty:
        return NAN
    data = fixed_effects.demeaned(np.zeros(len(table)), table[list(terms)].to_numpy(np.float64), list(table["group"]))
    return fixed_effects.vif(data, term) if data.solvable else NAN


def _methods(
    table: pd.DataFrame, outcome: str, terms: tuple[str, ...], term: int, stats: Stats
) -> dict[str, tuple[Interval, str]]:
    y = table[outcome].to_numpy(np.float64)
    x = table[list(terms)].to_numpy(np.float64)
    none = fixed_effects.undetermined(y.size)
    if y.size == 0:
        return {PERMUTATION: (none, "no reward model has all values")}
    data = fixed_effects.demeaned(y, x, list(table["group"]))
    naive = (pooled_ols(y, x, term, stats.confidence), "groups ignored: no evidence, shown for comparison")
    if not data.solvable:
        return {PERMUTATION: (none, "terms do not vary within groups, or are collinear there"), NAIVE: naive}
    fixed = fixed_effects.t_test(data, term, stats.confidence)
    found = {
        PERMUTATION: _primary(data, term, cells(table), fixed, stats),
        FIXED: (fixed, "" if data.df > 0 else "no degree of freedom left"),
        HC3: _noted(fixed_effects.hc3(data, term, stats.confidence), "a row with leverage one"),
        SCHEMES: _with_effects(table, "scheme", y, x, term, stats),
    }
    if terms not in (MAIN, SPLIT):
        return found
    found |= {
        CRV3: _noted(fixed_effects.jackknife(data, term, stats.confidence), "one group, or undetermined without one"),
        MUNDLAK: mundlak(y, x, data.groups, term, stats.confidence),
        NAIVE: naive,
    }
    if "seed" in table.columns:
        found[ALIKE] = _alike(table, data, term, found[PERMUTATION][0], stats)
        found[ROWS] = _row_wise(data, term, fixed, stats)
        found[SEEDS] = _with_effects(table, "seed", y, x, term, stats)
    if terms[term] == "ece" and "ece_sd" in table.columns:
        noise = np.square(table["ece_sd"].to_numpy(np.float64))
        found[NOISY] = corrected(data, noise, term, stats.confidence)
    return found


def cells(table: pd.DataFrame) -> tuple[Codes, Codes, Codes]:
    """Codes (n,) of the group of each row of a design, of its scheme within the group, and of its seed.

    A design without schemes or seeds has a scheme, a seed to a row.
    """
    group = table["group"].astype(str)
    rows = pd.Series(range(len(table)), index=table.index)
    scheme = table["scheme"] if "scheme" in table.columns and "seed" in table.columns else rows
    trained_on = table["trained_on"] if "trained_on" in table.columns else ""
    block = group + "/" + scheme.astype(str) + "/" + trained_on
    seed = table["seed"] if "seed" in table.columns else rows * 0
    codes = (pd.factorize(column, sort=True)[0].astype(np.int64) for column in (group, block, seed))
    return next(codes), next(codes), next(codes)


def _primary(
    data: fixed_effects.Within, term: int, places: tuple[Codes, Codes, Codes], fixed: Interval, stats: Stats
) -> tuple[Interval, str]:
    groups, blocks, seeds = places
    orders, exact = block_permutations(
        groups, blocks, seeds, stats.permutation_draws, generator(stats.seed, "permutation")
    )
    several = int(blocks.max()) + 1 < blocks.size
    limits = fixed_effects.clustered(data, term, blocks, stats.confidence) if several else fixed
    p = freedman_lane(data, term, orders, exact)
    note = f"all {len(orders)} permutations" if exact else f"{len(orders)} random permutations"
    return Interval(limits.estimate, limits.low, limits.high, p, limits.n), note


def _alike(
    table: pd.DataFrame, data: fixed_effects.Within, term: int, primary: Interval, stats: Stats
) -> tuple[Interval, str]:
    """p of orders that move a scheme in all groups at once; schemes that are not in all of them stay."""
    groups, _, seeds = cells(table)
    columns = [name for name in ("scheme", "trained_on") if name in table.columns]
    schemes = table.groupby(columns).ngroup().to_numpy().astype(np.int64)
    places = groups * (int(seeds.max()) + 1) + seeds
    orders, exact = block_permutations(
        np.zeros_like(groups), schemes, places, stats.permutation_draws, generator(stats.seed, "permutation")
    )
    p = freedman_lane(data, term, orders, exact)
    return Interval(primary.estimate, n=primary.n, p=p), f"{'all ' if exact else ''}{len(orders)} orders of schemes"


def _row_wise(data: fixed_effects.Within, term: int, fixed: Interval, stats: Stats) -> tuple[Interval, str]:
    orders, exact = group_permutations(data.groups, stats.permutation_draws, generator(stats.seed, "permutation"))
    p = freedman_lane(data, term, orders, exact)
    return Interval(fixed.estimate, fixed.low, fixed.high, p, fixed.n), "seeds of a scheme taken for independent"


def _with_effects(
    table: pd.DataFrame, column: str, y: Vector, x: fixed_effects.Matrix, term: int, stats: Stats
) -> tuple[Interval, str]:
    """Fixed effects of groups and of another column (scheme, seed)."""
    dummies = pd.get_dummies(table[column], drop_first=True).to_numpy(np.float64)
    data = fixed_effects.demeaned(y, np.column_stack([x, dummies]), list(table["group"]))
    if not data.solvable:
        return fixed_effects.undetermined(y.size), f"collinear with the {column}s"
    if data.df <= 0:
        return fixed_effects.undetermined(y.size), "no degree of freedom left"
    return fixed_effects.t_test(data, term, stats.confidence), ""


def _noted(interval: Interval, reason: str) -> tuple[Interval, str]:
    return interval, "" if np.isfinite(interval.low) else f"no interval: {reason}"
