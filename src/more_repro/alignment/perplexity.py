"""Perplexity of policies on the chosen responses of the test pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.resampling import interval, resample_counts
from more_repro.params import Stats

OUTLIER_PERPLEXITY = 10_000.0


def perplexity_table(
    keys: Sequence[Mapping[str, str | int]],
    sources: Sequence[str],
    nats: np.ndarray,
    n_tokens: np.ndarray,
    stats: Stats,
) -> pd.DataFrame:
    """One row per policy and source: the table "perplexity".

    keys: key columns of each policy. sources: of each text (n,). nats, n_tokens: (policies, n).
    perplexity is exp(all nats / all tokens), every text in it; its interval is a bootstrap over texts, the same
    resamples for all policies. Texts whose own perplexity passes OUTLIER_PERPLEXITY are counted, and kept.
    """
    of_text = np.asarray(sources)
    tables_of = [
        _source_table(keys, source, nats[:, of_text == source], n_tokens[:, of_text == source], stats)
        for source in dict.fromkeys(sources)
    ]
    return tables.check(pd.concat(tables_of, ignore_index=True), "perplexity")


def _source_table(
    keys: Sequence[Mapping[str, str | int]], source: str, nats: np.ndarray, n_tokens: np.ndarray, stats: Stats
) -> pd.DataFrame:
    counts = resample_counts(nats.shape[1], stats)  # (draws, n)
    low, high = interval(np.exp((counts @ nats.T) / (counts @ n_tokens.T)), stats)
    # A text of a single long word is rare but possible: huge values stay finite for the median and the count.
    per_text = np.exp(np.minimum(nats / np.maximum(n_tokens, 1), 700.0))
    return pd.DataFrame(list(keys)).assign(
        source=source,
        perplexity=np.exp(nats.sum(1) / n_tokens.sum(1)),
        perplexity_low=low,
        perplexity_high=high,
        median_perplexity=np.median(per_text, axis=1),
        n_texts=nats.shape[1],
        n_tokens=n_tokens.sum(1),
        n_outliers=(per_text > OUTLIER_PERPLEXITY).sum(1),
    )
