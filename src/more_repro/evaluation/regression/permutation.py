"""Freedman-Lane permutation test of one term, within groups: the p-value this project leads with."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from more_repro.evaluation.regression.fixed_effects import Within
from more_repro.stats.intervals import NAN, Codes, Vector


def group_permutations(groups: Codes, draws: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], bool]:
    """Row orders (P, n) that move rows within their group (n,), and whether they are all that exist.

    All of them where there are at most `draws`, the identity among them; else `draws` random ones.
    """
    members = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    if math.prod(math.factorial(len(rows)) for rows in members) <= draws:
        orders = []
        for parts in itertools.product(*(itertools.permutations(rows) for rows in members)):
            order = np.empty(groups.size, dtype=np.int64)
            for rows, moved in zip(members, parts, strict=True):
                order[rows] = moved
            orders.append(order)
        return np.array(orders), True
    shuffled = np.empty((draws, groups.size), dtype=np.int64)
    # Sorting group + uniform shuffles rows inside each group.
    shuffled[:, np.argsort(groups, kind="stable")] = np.argsort(groups + rng.random((draws, groups.size)), axis=1)
    return shuffled, False


def block_permutations(
    groups: Codes, blocks: Codes, places: Codes, draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], bool]:
    """Row orders (P, n) that exchange whole blocks (schemes) within a group, each row (seed) keeping its place.

    groups, blocks, places: (n,). Rows of one block share what its scheme does to the outcome and are not exchangeable
    one by one. Blocks with other places than the rest of their group (a seed is missing) stay where they are.
    As `group_permutations` else: all orders where there are at most `draws`.
    """
    units, sets = _units(groups, blocks, places)
    moved, exact = group_permutations(sets, draws, rng)
    orders = np.empty((len(moved), groups.size), dtype=np.int64)
    for unit, rows in enumerate(units):
        source = np.zeros((len(units), rows.size), dtype=np.int64)
        for other in np.flatnonzero(sets == sets[unit]):
            source[other] = units[other]
        orders[:, rows] = source[moved[:, unit]]
    return orders, exact


def _units(groups: Codes, blocks: Codes, places: Codes) -> tuple[list[NDArray[np.int64]], Codes]:
    """Rows of each block of a group, by place; and codes of the blocks that can change places with each other."""
    units, names = [], []
    for group, block in sorted(set(zip(groups.tolist(), blocks.tolist(), strict=True))):
        rows = np.flatnonzero((groups == group) & (blocks == block))
        rows = rows[np.argsort(places[rows], kind="stable")]
        units.append(rows)
        names.append((group, *places[rows].tolist()))
    known = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return units, np.array([known[name] for name in names], dtype=np.int64)


def freedman_lane(data: Within, term: int, orders: NDArray[np.int64], exact: bool) -> float:
    """Two-sided p of one term given the others and the group effects.

    Residuals of the model without the term are permuted by the orders given, which stay within groups; the statistic is
    |t| of the term in the full model, which ranks as the absolute partial correlation. Random orders count
    the observed one in. NaN where the term does not exist, no degree of freedom is left, or nothing can change places.
    """
    if not data.solvable or data.df <= 0 or len(orders) < 2:
        return NAN
    controls = np.delete(data.x, term, axis=1)
    basis = np.linalg.qr(controls)[0]
    own = _residual(data.x[:, term], basis)
    reduced = _residual(data.y, basis)
    if np.linalg.norm(reduced) <= 1e-12 * max(1.0, float(np.linalg.norm(data.y))):
        return NAN
    observed = abs(_correlation(reduced[None, :], own)[0])
    permuted = np.abs(_correlation(_residual(reduced[orders], basis), own))
    count = int((permuted >= observed - 1e-10).sum())
    return count / len(orders) if exact else (count + 1) / (len(orders) + 1)


def _residual(rows: Vector, basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (..., n) less their projection on the columns of basis (n, q)."""
    return np.asarray(rows - (rows @ basis) @ basis.T, dtype=np.float64)


def _correlation(rows: NDArray[np.float64], own: Vector) -> Vector:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(own)
    return np.asarray(rows @ own / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)
