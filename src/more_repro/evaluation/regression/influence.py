"""Which reward models the regression hangs on: partial values, leverage, Cook's distance, leave-one-out estimates."""

from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.regression import fixed_effects
from more_repro.evaluation.regression.design import MAIN, outcomes
from more_repro.params import Stats
from more_repro.records import MODEL_KEY
from more_repro.schemes import MIXTURE, NONE
from more_repro.stats.intervals import NAN, Vector

_PLACE: dict[str, Any] = {"regime": NONE, "trained_on": MIXTURE, "seed": 0}  # of the published models


def influence_table(design: pd.DataFrame, data: str, stats: Stats) -> pd.DataFrame:
    """Table "influence": one row per reward model and outcome, of the coefficient of `ece` with accuracy held.

    partial_term, partial_outcome: ECE and outcome without what groups and accuracy explain (their slope is the
    coefficient). estimate, low, high: with every model, the fixed-effects t. estimate_without: without this one, NaN
    where it does not exist then. Empty where the terms do not vary within groups.
    """
    design = design.assign(**{name: value for name, value in _PLACE.items() if name not in design.columns})
    rows: list[dict[str, Any]] = []
    for outcome in outcomes(design):
        complete = design.dropna(subset=[outcome, *MAIN]).reset_index(drop=True)
        if complete.empty:
            continue
        y, x = complete[outcome].to_numpy(np.float64), complete[list(MAIN)].to_numpy(np.float64)
        groups = list(complete["group"])
        fitted = fixed_effects.demeaned(y, x, groups)
        if not fitted.solvable:
            continue
        whole = fixed_effects.t_test(fitted, 0, stats.confidence)
        own, left = partial(fitted, 0)
        columns = {
            "partial_term": own, "partial_outcome": left, "leverage": fixed_effects.leverages(fitted),
            "cooks_distance": _cooks(fitted), "estimate_without": _without(y, x, groups),
        }  # fmt: skip
        part = complete[list(MODEL_KEY)].assign(data=data, outcome=outcome, **columns, **whole.columns(), n=whole.n)
        rows += part.to_dict("records")  # type: ignore[arg-type]
    return tables.check(pd.DataFrame(rows), "influence") if rows else tables.empty("influence")


def partial(data: fixed_effects.Within, term: int) -> tuple[Vector, Vector]:
    """The term and the outcome without what groups and the other terms explain, (n,) each (Frisch-Waugh)."""
    others = np.delete(data.x, term, axis=1)
    return fixed_effects.unexplained(data.x[:, term], others), fixed_effects.unexplained(data.y, others)


def _cooks(data: fixed_effects.Within) -> Vector:
    """Cook's distance (n,) in the model with group dummies; NaN without degrees of freedom or at leverage one."""
    if data.df <= 0:
        return np.full(data.y.size, NAN)
    residual = data.y - data.x @ fixed_effects.coefficients(data)
    leverage = fixed_effects.leverages(data)
    n_terms = data.y.size - data.df
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = residual @ residual / data.df * n_terms
        distance = np.square(residual) * leverage / np.square(1 - leverage) / scale
    return np.where(leverage < 1 - 1e-9, distance, NAN)


def _without(y: Vector, x: fixed_effects.Matrix, groups: list[str]) -> Vector:
    found = []
    for row in range(y.size):
        keep = np.arange(y.size) != row
        data = fixed_effects.demeaned(y[keep], x[keep], [name for name, kept in zip(groups, keep, strict=True) if kept])
        found.append(fixed_effects.coefficients(data)[0] if data.solvable else NAN)
    return np.array(found)
