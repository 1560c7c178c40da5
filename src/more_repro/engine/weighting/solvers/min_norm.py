"""Exact point of least norm on the simplex, from the Gram matrix alone.

Where several lambda reach the minimum (equal or dependent gradients), the one nearest to uniform is meant: it is
unique, so equal gradients get equal weights and the order of the sources does not matter.
"""

import functools

import torch

from more_repro.engine.weighting.solvers.gram import scaled, uniform

ENUMERATE_UP_TO = 8  # 2^K supports: 0.05 ms at K = 5, 2 ms at K = 10
_SLACK = 1e-10  # of a Gram matrix scaled to 1: below the rounding of fp32 gradients, above that of float64
_DUST = 1e-13  # a weight below this is rounding, and would block the way of Wolfe's method


def min_norm_weights(gram: torch.Tensor) -> torch.Tensor:
    """lambda (K,) float64 that minimises lambda' G lambda over the simplex, from the Gram matrix G (K, K).

    Raises ValueError if G is not square or not finite.
    """
    matrix = scaled(gram)
    n = len(matrix)
    if matrix.diagonal().max() <= 0 or n == 1:
        return uniform(gram)
    return enumerated(matrix) if n <= ENUMERATE_UP_TO else active_set(matrix)


def enumerated(gram: torch.Tensor) -> torch.Tensor:
    """Least norm by trying every support; G (K, K) float64 with largest diagonal entry 1."""
    supports = _supports(gram.shape[0])
    if torch.linalg.eigvalsh(gram)[0] > _SLACK:
        solutions = _affine(gram, supports)
        values = _values(gram, solutions)
        best = solutions[values.argmin()]
    else:
        solutions = _affine_degenerate(gram, supports)
        values = _values(gram, solutions)
        # Of equally good supports take the solution nearest to uniform: the documented choice.
        near = values <= values.min() + _SLACK * 1e-2
        best = solutions[torch.where(near, solutions.square().sum(dim=1), torch.inf).argmin()]
    best = best.clamp(min=0)
    return best / best.sum()


@functools.cache
def _supports(n: int) -> torch.Tensor:
    """Every non-empty subset of n sources as a row of 0 and 1: (2^n - 1, n) float64."""
    numbers = torch.arange(1, 2**n)[:, None]
    return (numbers >> torch.arange(n) & 1).double()


def _affine(gram: torch.Tensor, supports: torch.Tensor) -> torch.Tensor:
    """Least norm in the affine hull of each support: x with G_SS x = 1, divided by its sum. G is positive definite."""
    systems = gram * supports[:, :, None] * supports[:, None, :] + torch.diag_embed(1 - supports)
    solutions = torch.linalg.solve(systems, supports)
    return solutions / solutions.sum(dim=1, keepdim=True)


def _affine_degenerate(gram: torch.Tensor, supports: torch.Tensor) -> torch.Tensor:
    """The same by the pseudo-inverse of the KKT system, which picks the shortest lambda where there are many."""
    n = gram.shape[0]
    systems = gram.new_zeros(len(supports), n + 1, n + 1)
    systems[:, :n, :n] = gram * supports[:, :, None] * supports[:, None, :]
    systems[:, :n, n] = systems[:, n, :n] = supports
    return torch.linalg.pinv(systems, hermitian=True, rtol=1e-12)[:, :n, n]


def _values(gram: torch.Tensor, solutions: torch.Tensor) -> torch.Tensor:
    """lambda' G lambda of each row; infinite where a weight is negative."""
    values = torch.einsum("si,ij,sj->s", solutions, gram, solutions)
    return torch.where(solutions.min(dim=1).values >= -_SLACK, values, torch.inf)


def active_set(gram: torch.Tensor) -> torch.Tensor:
    """Least norm by Wolfe's method, for K too large to enumerate; G (K, K) float64 with largest diagonal entry 1."""
    n = gram.shape[0]
    weights = gram.new_zeros(n)
    weights[gram.diagonal().argmin()] = 1.0
    for _ in range(50 * n):
        slopes = gram @ weights
        value = weights @ slopes
        entering = int(slopes.argmin())
        if slopes[entering] >= value - _SLACK * 1e-2:
            break
        weights = _minor_cycle(gram, weights, entering)
    return _nearest_to_uniform(gram, weights)


def _minor_cycle(gram: torch.Tensor, weights: torch.Tensor, entering: int) -> torch.Tensor:
    """Move to the affine minimum over the support and the new point, dropping points whose weight would be negative."""
    support = weights > 0
    support[entering] = True
    while True:
        target = _affine_degenerate(gram, support.double()[None])[0]
        if bool((target[support] >= -_SLACK).all()):
            target = torch.where(target > _DUST, target, 0.0)
            return target / target.sum()
        falling = support & (target < weights)
        shares = torch.where(falling, weights / torch.where(falling, weights - target, 1.0), torch.inf)
        leaving = int(torch.where(support & (target < 0), shares, torch.inf).argmin())
        weights = weights + shares[leaving] * (target - weights)
        weights[leaving] = 0.0
        weights = torch.where(weights > _DUST, weights, 0.0)
        support = support & (weights > 0)


def _nearest_to_uniform(gram: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Among the lambda with the same value, the shortest, where that is found without leaving the simplex."""
    slopes = gram @ weights
    value = weights @ slopes
    support = slopes <= value + _SLACK
    while bool(support.any()):
        candidate = _affine_degenerate(gram, support.double()[None])[0]
        if bool((candidate >= -_SLACK).all()):
            candidate = candidate.clamp(min=0)
            candidate = candidate / candidate.sum()
            return candidate if candidate @ gram @ candidate <= value + _SLACK else weights
        support = support & (candidate > candidate.min())
    return weights
