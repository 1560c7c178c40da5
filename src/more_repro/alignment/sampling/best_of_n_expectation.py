"""Choosing the best of n: how often each of N candidates is it, and how far such a choice can move a policy."""

import numpy as np
from scipy.special import gammaln


def kl_bound_nats(n: np.ndarray) -> np.ndarray:
    """Most that choosing the best of n can move a policy from itself, log n - (n - 1)/n (arXiv 2401.01879: a bound)."""
    n = np.asarray(n, dtype=np.float64)
    return np.log(n) - (n - 1) / n


def choice_shares(rewards: np.ndarray) -> np.ndarray:
    """How often each of N candidates is the best of a subset of n: (prompts, N) -> (prompts, N, n = 1 to N).

    Shares of all C(N, n) subsets, which sum to 1 over candidates; candidates of equal reward share evenly, so that the
    order in which they were drawn counts for nothing. (`pick` gives a tie to the lowest number: in expectation over the
    order the same.)
    """
    values = np.asarray(rewards, dtype=np.float64)
    size = values.shape[1]
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    not_above = (values[:, None, :] <= values[:, :, None]).sum(axis=2)
    # Share of subsets of n that lie wholly within the m lowest: C(m, n) / C(N, n).
    within = _share_within(size)
    return np.asarray((within[not_above] - within[below]) / (not_above - below)[..., None])


def _share_within(size: int) -> np.ndarray:
    """C(m, n) / C(size, n) for m = 0 to size and n = 1 to size, shape (size + 1, size)."""
    m, n = np.arange(size + 1)[:, None], np.arange(1, size + 1)[None, :]
    inside = m >= n
    rest = np.where(inside, m - n, 0)
    logs = gammaln(m + 1) - gammaln(rest + 1) - gammaln(size + 1) + gammaln(size - n + 1)
    return np.where(inside, np.exp(logs), 0.0)
