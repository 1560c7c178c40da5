"""Other answers to the same regression question, shown beside the primary one and never in its place."""

import warnings

import numpy as np
import statsmodels.api as sm
from scipy import stats

from more_repro.evaluation.regression.fixed_effects import Matrix, full_rank, undetermined
from more_repro.stats.intervals import Codes, Interval, Vector


def pooled_ols(y: Vector, x: Matrix, term: int, confidence: float) -> Interval:
    """Ordinary least squares that ignores groups: y (n,), x (n, p). Size .12-.45 at 5 % where bases differ."""
    design = np.column_stack([x, np.ones(y.size)])
    if not full_rank(design) or y.size <= design.shape[1]:
        return undetermined(y.size)
    fit = sm.OLS(y, design).fit()
    low, high = fit.conf_int(1 - confidence)[term]
    return Interval(float(fit.params[term]), float(low), float(high), float(fit.pvalues[term]), y.size)


def mundlak(y: Vector, x: Matrix, groups: Codes, term: int, confidence: float) -> tuple[Interval, str]:
    """Random intercepts by group with the groups' means of x as covariates; the within coefficient, and a note.

    A fit that fails, does not converge or lies on the boundary is told in the note; its NaN stays.
    """
    counts = np.bincount(groups)
    if counts.size < 2:
        return undetermined(y.size), "one group: no random effect"
    means = np.stack([np.bincount(groups, weights=column) / counts for column in x.T], axis=1)[groups]
    x_scale, y_scale = x.std(axis=0), float(y.std())
    if (x_scale == 0).any() or y_scale == 0:
        return undetermined(y.size), "a variable is constant"
    design = np.column_stack([x / x_scale, means / x_scale, np.ones(y.size)])
    if not full_rank(design) or y.size <= design.shape[1] + 1:
        return undetermined(y.size), "failed: more coefficients than the groups determine"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = sm.MixedLM(y / y_scale, design, groups=groups).fit(reml=True)
    except (np.linalg.LinAlgError, ValueError) as problem:
        return undetermined(y.size), f"failed: {problem}"
    unit = y_scale / x_scale[term]
    estimate, error = float(fit.fe_params[term]) * unit, float(fit.bse_fe[term]) * unit
    notes = [] if fit.converged else ["did not converge"]
    if float(np.asarray(fit.cov_re)[0, 0]) < 1e-6 * float(fit.scale):
        notes.append("boundary: group variance 0")
    elif any("boundary" in str(one.message) for one in caught):
        notes.append("boundary")
    if not np.isfinite(error):
        return Interval(estimate, n=y.size), "; ".join([*notes, "no standard error"])
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    p = float(2 * stats.norm.sf(abs(estimate) / error))
    return Interval(estimate, estimate - half, estimate + half, p, y.size), "; ".join([*notes, "normal p"])
