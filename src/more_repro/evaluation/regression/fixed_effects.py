"""Linear models within groups (base fixed effects), by Frisch-Waugh: demean y and x, then fit without intercept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from more_repro.stats.intervals import NAN, Codes, Interval, Vector, t_interval

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Within:
    """Outcome (n,) and terms (n, p), demeaned within groups (n,); df = n - G - p."""

    y: Vector
    x: Matrix
    groups: Codes

    @property
    def n_groups(self) -> int:
        return int(self.groups.max()) + 1

    @property
    def df(self) -> int:
        return self.y.size - self.n_groups - self.x.shape[1]

    @property
    def solvable(self) -> bool:
        """The terms vary within groups and are not collinear there."""
        return full_rank(self.x)


def demeaned(y: Vector, x: Matrix, names: Sequence[object]) -> Within:
    """y (n,), x (n, p), names of the groups (n,)."""
    groups = np.unique([str(name) for name in names], return_inverse=True)[1].astype(np.int64)
    return Within(demean(y[:, None], groups)[:, 0], demean(x, groups), groups)


def demean(values: Matrix, groups: Codes) -> Matrix:
    """Values (n, p) less the mean of their group."""
    counts = np.bincount(groups)
    means = np.stack([np.bincount(groups, weights=column) / counts for column in values.T], axis=1)
    centred: Matrix = values - means[groups]
    # Rounding leaves dust where a column is constant within groups; it must not pass for variation.
    dust = 1e-12 * np.maximum(np.abs(values).max(axis=0), 1e-300)
    return np.asarray(np.where(np.abs(centred).max(axis=0) <= dust, 0.0, centred), dtype=np.float64)


def full_rank(x: Matrix) -> bool:
    """Columns (n, p) are independent, each measured on its own scale."""
    lengths = np.linalg.norm(x, axis=0)
    if x.shape[0] < x.shape[1] or (lengths == 0).any():
        return False
    return bool(np.linalg.svd(x / lengths, compute_uv=False)[-1] > 1e-8)


def coefficients(data: Within) -> Vector:
    """Fixed-effects estimates (p,)."""
    return np.asarray(np.linalg.lstsq(data.x, data.y, rcond=None)[0], dtype=np.float64)


def t_test(data: Within, term: int, confidence: float) -> Interval:
    """Fixed effects with the ordinary error and t on n - G - p df."""
    beta = coefficients(data)
    if data.df <= 0:
        return Interval(float(beta[term]), n=data.y.size)
    residual = data.y - data.x @ beta
    variance = np.linalg.inv(data.x.T @ data.x)[term, term] * (residual @ residual) / data.df
    return t_interval(float(beta[term]), float(np.sqrt(variance)), data.df, confidence, data.y.size)


def hc3(data: Within, term: int, confidence: float) -> Interval:
    """Fixed effects with HC3 errors and t on n - G - p df. NaN limits where a row has leverage one."""
    beta = coefficients(data)
    bread = np.linalg.inv(data.x.T @ data.x)
    leverage = leverages(data)
    inside = leverage < 1 - 1e-9
    # A group of one row fits itself: its demeaned terms are zero and add nothing.
    if not (inside | (np.abs(data.x).max(axis=1) == 0)).all():
        return Interval(float(beta[term]), n=data.y.size)
    residual = np.zeros(data.y.size)
    residual[inside] = (data.y - data.x @ beta)[inside] / (1 - leverage[inside])
    sandwich = bread @ (data.x.T * residual**2) @ data.x @ bread
    return t_interval(float(beta[term]), float(np.sqrt(sandwich[term, term])), data.df, confidence, data.y.size)


def clustered(data: Within, term: int, clusters: Codes, confidence: float) -> Interval:
    """Fixed effects with errors clustered by codes (n,), nested in the groups, and t on clusters - groups - p df.

    NaN limits without degrees of freedom.
    """
    beta = coefficients(data)
    n_clusters = int(clusters.max()) + 1
    df = n_clusters - data.n_groups - data.x.shape[1]
    if df <= 0:
        return Interval(float(beta[term]), n=data.y.size)
    parts = data.x * (data.y - data.x @ beta)[:, None]
    sums = np.stack([np.bincount(clusters, column) for column in parts.T], axis=1)
    bread = np.linalg.inv(data.x.T @ data.x)
    variance = (bread @ (sums.T @ sums) @ bread)[term, term] * n_clusters / df
    return t_interval(float(beta[term]), float(np.sqrt(variance)), df, confidence, data.y.size)


def jackknife(data: Within, term: int, confidence: float) -> Interval:
    """Fixed effects with the CRV3 cluster jackknife over groups and t on G - 1 df.

    On demeaned data: with dummies a left-out group would empty its own column. NaN limits with one group, or where
    the estimate does not exist without some group.
    """
    beta = coefficients(data)
    alone = Interval(float(beta[term]), n=data.y.size)
    if data.n_groups < 2:
        return alone
    left_out = []
    for group in range(data.n_groups):
        keep = data.groups != group
        if not full_rank(data.x[keep]):
            return alone
        left_out.append(np.linalg.lstsq(data.x[keep], data.y[keep], rcond=None)[0][term])
    factor = (data.n_groups - 1) / data.n_groups
    error = np.sqrt(factor * np.square(np.array(left_out) - beta[term]).sum())
    return t_interval(float(beta[term]), float(error), data.n_groups - 1, confidence, data.y.size)


def vif(data: Within, term: int) -> float:
    """Variance inflation of one term by the others, within groups: 1 / (1 - R squared). 1 where it stands alone."""
    own, others = data.x[:, term], np.delete(data.x, term, axis=1)
    if not others.shape[1]:
        return 1.0
    left = unexplained(own, others)
    return float(own @ own / (left @ left)) if left @ left > 0 else float("inf")


def unexplained(values: Vector, others: Matrix) -> Vector:
    """Values (n,) less their least-squares fit on others (n, q), all of them demeaned (Frisch-Waugh)."""
    if not others.shape[1]:
        return values
    return np.asarray(values - others @ np.linalg.lstsq(others, values, rcond=None)[0], dtype=np.float64)


def leverages(data: Within) -> Vector:
    """Leverage (n,) of each row in the model with group dummies: that of the demeaned terms plus 1 / group size."""
    bread = np.linalg.inv(data.x.T @ data.x)
    own = np.einsum("ij,jk,ik->i", data.x, bread, data.x)
    return np.asarray(own + 1 / np.bincount(data.groups)[data.groups], dtype=np.float64)


def undetermined(n: int) -> Interval:
    """What stands where a coefficient does not exist."""
    return Interval(NAN, n=n)
