"""How far apart the words of chosen and of rejected responses are, held against what chance alone gives."""

import numpy as np
import pandas as pd
from scipy.special import xlogy

from more_repro.data.diversity.bag_of_words import Texts, per_prompt
from more_repro.data.diversity.keyed_random import uniforms
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval
from more_repro.stats.intervals import Floats
from more_repro.tables import SCHEMAS, check

_AT_ONCE = 50  # draws whose word counts are in memory together


def word_divergence(texts: Texts, n_draws: int, seed: int, confidence: float) -> pd.DataFrame:
    """The row of table `word_divergence`: Jensen-Shannon divergence in bits, its null band, the excess and p.

    Under the null the two responses of a pair are exchangeable, all pairs of a prompt together: a draw swaps them for
    half the prompts. The divergence of two finite samples is never 0, so only the excess over the null's mean tells.
    """
    found = float(jensen_shannon_bits(*texts.totals()))
    null = null_divergences(texts, n_draws, seed)
    low, high = percentile_interval(null, confidence)
    p = monte_carlo_p(null, found)
    row = (texts.source, found, float(null.mean()), low, high, found - float(null.mean()), p, len(texts))
    line = pd.DataFrame([(*row, len(texts.keys))], columns=list(SCHEMAS["word_divergence"]))
    return check(line, "word_divergence")


def null_divergences(texts: Texts, n_draws: int, seed: int) -> Floats:
    """Divergences (n_draws,) with chosen and rejected swapped for a random half of the prompts."""
    chosen, rejected = per_prompt(texts)
    both = np.asarray((chosen + rejected).sum(axis=0, dtype=np.float64)).ravel()
    turned = (chosen - rejected).T.tocsr()
    signs = np.where(uniforms(texts.keys, seed, "swap", n_draws) < 0.5, -1.0, 1.0).astype(np.float32)
    parts = []
    for start in range(0, n_draws, _AT_ONCE):
        # Sums of whole numbers: exact in 32 bits up to 16 million occurrences of a word.
        gap = np.asarray(turned @ np.ascontiguousarray(signs[start : start + _AT_ONCE].T), dtype=np.float64).T
        parts.append(jensen_shannon_bits((both + gap) / 2, (both - gap) / 2))
    return np.concatenate(parts)


def jensen_shannon_bits(first: Floats, second: Floats) -> Floats:
    """Jensen-Shannon divergence, in bits, of the distributions that counts (..., words) stand for; 0 where empty."""
    p, q = (_distribution(counts) for counts in (first, second))
    middle = (p + q) / 2
    nats = (xlogy(p, p) + xlogy(q, q)).sum(axis=-1) / 2 - xlogy(middle, middle).sum(axis=-1)
    return np.asarray(np.maximum(nats, 0.0) / np.log(2))


def _distribution(counts: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.where(total > 0, total, 1.0))
