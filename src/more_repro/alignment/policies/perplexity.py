"""Perplexity of policies on the chosen responses of the test pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.params import Stats
from more_repro.stats.bootstrap import percentile_interval, resample_counts

OUTLIER_PERPLEXITY = 10_000.0


def perplexity_table(
    keys: Sequence[Mapping[str, str | int]],
    texts: pd.DataFrame,
    nats: np.ndarray,
    n_tokens: np.ndarray,
    stats: Stats,
) -> pd.DataFrame:
    """One row per policy and source: the table "perplexity".

    keys: key columns of each policy. texts: [source, prompt_id, long] of each text (n,); long: read by stride.
    nats, n_tokens: (policies, n). perplexity is exp(all nats / all tokens), every text in it; its interval is a
    bootstrap over prompts, the texts of one together, the same resamples for all policies. mean and median are over
    texts, of each one's own perplexity. Texts whose own passes OUTLIER_PERPLEXITY are counted, and kept.
    """
    of_text = texts["source"].to_numpy()
    tables_of = []
    for source in dict.fromkeys(of_text):
        where = of_text == source
        tables_of.append(_source_table(keys, texts[where], nats[:, where], n_tokens[:, where], stats))
    return tables.check(pd.concat(tables_of, ignore_index=True), "perplexity")


def _source_table(
    keys: Sequence[Mapping[str, str | int]], texts: pd.DataFrame, nats: np.ndarray, n_tokens: np.ndarray, stats: Stats
) -> pd.DataFrame:
    cluster, prompts = pd.factorize(texts["prompt_id"])
    counts = resample_counts(len(prompts), stats)[:, cluster]  # (draws, n)
    low, high = percentile_interval(np.exp((counts @ nats.T) / (counts @ n_tokens.T)), stats.confidence)
    # A text of a single long word is rare but possible: huge values stay finite for the median and the count.
    per_text = np.exp(np.minimum(nats / np.maximum(n_tokens, 1), 700.0))
    return pd.DataFrame(list(keys)).assign(
        source=texts["source"].iloc[0],
        perplexity=np.exp(nats.sum(1) / n_tokens.sum(1)),
        perplexity_low=low,
        perplexity_high=high,
        mean_perplexity=per_text.mean(axis=1),
        median_perplexity=np.median(per_text, axis=1),
        n_texts=nats.shape[1],
        n_tokens=n_tokens.sum(1),
        n_long=int(texts["long"].sum()),
        n_outliers=(per_text > OUTLIER_PERPLEXITY).sum(1),
    )
