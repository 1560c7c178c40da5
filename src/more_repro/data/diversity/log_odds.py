"""The words that mark a source's chosen responses."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from more_repro.data.diversity.bag_of_words import Texts, per_prompt
from more_repro.stats.intervals import Floats, normal_quantile
from more_repro.tables import SCHEMAS, check

_PRIOR_WORDS = 1000.0  # weight of the prior, in words
_TOP = 10  # words of each side


def word_log_odds(texts: Texts, confidence: float) -> pd.DataFrame:
    """Rows of table `word_log_odds`: the words of largest z and those of smallest z, chosen against rejected.

    Log odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008), the prior being all words of the
    source. z is not the paper's, which takes words for independent draws, but that of the difference of shares,
    clustered by prompt; the interval of the log odds is test-based: it holds 0 where |z| is small. z_limit is
    Bonferroni's over all words of the source: the largest |z| that chance would show.
    """
    chosen, rejected = texts.totals()
    prior = (chosen + rejected) * _PRIOR_WORDS / max(float((chosen + rejected).sum()), 1.0)
    odds = _log_odds(chosen, prior) - _log_odds(rejected, prior)
    z = _clustered_z(texts, chosen, rejected)
    error = np.divide(odds, z, out=np.zeros_like(odds), where=z != 0)
    limit = normal_quantile(1 - (1 - confidence) / max(len(texts.words), 1))
    words = np.array(texts.words, dtype=object)
    ranked = np.lexsort((np.argsort(np.argsort(words)), -np.abs(z)))
    # Of each side: one side's many words would otherwise leave none of the other to be seen.
    up = z[ranked] > 0
    top = ranked[np.where(up, np.cumsum(up), np.cumsum(~up)) <= _TOP]
    half = normal_quantile(confidence) * error[top]
    rows = {
        "source": texts.source, "word": list(words[top]), "log_odds": odds[top], "low": odds[top] - half,
        "high": odds[top] + half, "z": z[top], "z_limit": limit, "n_chosen": chosen[top], "n_rejected": rejected[top],
    }  # fmt: skip
    return check(pd.DataFrame(rows, columns=list(SCHEMAS["word_log_odds"])), "word_log_odds")


def _log_odds(counts: Floats, prior: Floats) -> Floats:
    """Posterior log odds of each word."""
    seen = counts + prior
    return np.asarray(np.log(seen) - np.log(counts.sum() + _PRIOR_WORDS - seen))


def _clustered_z(texts: Texts, chosen: Floats, rejected: Floats) -> Floats:
    """z of each word's share in chosen minus its share in rejected responses, were the two exchangeable, (words,).

    With share p of the word in all C chosen and R rejected words, a prompt that has the word c times in n and r times
    in m words adds u = (c - p n)/C - (r - p m)/R to the difference; z = sum u / sqrt(sum u^2). It is at most the root
    of the number of prompts with the word, so rare words never lead.
    """
    n_chosen, n_rejected = max(float(chosen.sum()), 1.0), max(float(rejected.sum()), 1.0)
    first, second = per_prompt(texts)
    share = (chosen + rejected) / (n_chosen + n_rejected)
    gap = csr_matrix(first / n_chosen - second / n_rejected, dtype=np.float64)
    length = np.asarray(gap.sum(axis=1)).ravel()
    squares = np.asarray(gap.multiply(gap).sum(axis=0)).ravel()
    squares += -2 * share * (gap.T @ length) + share**2 * float(length @ length)
    difference = chosen / n_chosen - rejected / n_rejected
    # Shares are sums of a few thousand terms: below this a difference is a rounding error.
    seen = (squares > 0) & (np.abs(difference) > 1e-12)
    return np.divide(difference, np.sqrt(np.maximum(squares, 0.0)), out=np.zeros_like(difference), where=seen)
