"""Do rewards count words? Margins against the difference in words of the same pairs: the table "length_bias"."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from more_repro import tables
from more_repro.evaluation.metrics.accuracy import accuracy_interval
from more_repro.evaluation.metrics.scored_models import Pairs, ScoredModel, pooled, test_sources
from more_repro.params import Stats
from more_repro.records import MODEL_KEY
from more_repro.schemes import LENGTH, is_first_k
from more_repro.stats.clustered import clustered_mean, n_clusters, variance_of_sum
from more_repro.stats.intervals import NAN, Codes, Interval, Vector, normal_interval

CORRELATION = "correlation"  # of margin and difference in words, over both orders of every pair
LONGER = "prefers_longer"  # share of pairs in which the longer response has the higher reward
EXPECTED = "expects_longer"  # mean probability, by the model, that the longer response is preferred
EXCESS = "longer_excess"  # that less the share of labels for the longer response: 0 where a model leans as they do
Row = dict[str, Any]


def length_bias(models: Sequence[ScoredModel], stats: Stats, align_sources: Sequence[str]) -> pd.DataFrame:
    """Table "length_bias": every model on every test source and pool, with intervals clustered by prompt.

    Words are the rewards of the length rule on the same pairs; its own row "prefers_longer" is the share of pairs whose
    chosen response is the longer one. A model is held against that by its probabilities (`EXCESS`, a paired
    difference): a perfect model's choices, unlike its probabilities, go further than the labels. Pairs of
    equal length enter the correlation alone; n_equal counts them, n_pairs and n_prompts are of a row's own pairs.
    No length rule: no rows.
    Differences are taken within pairs, for Bradley-Terry leaves each prompt's level of reward free.
    Raises ValueError: a pair that the length rule did not score.
    """
    words = next((entry for entry in models if entry.model.scheme == LENGTH), None)
    if words is None:
        return tables.empty("length_bias")
    rows: list[Row] = []
    for entry in models:
        if is_first_k(entry.model.trained_on):
            continue
        names = {source: (source,) for source in entry.test} | entry.pools(align_sources, test_sources(models))
        counted = {source: _words(words, entry, source) for source in entry.test}
        for name, parts in names.items():
            pairs = pooled([entry.test[part] for part in parts])
            difference = np.concatenate([counted[part] for part in parts])
            key = {column: getattr(entry.model, column) for column in MODEL_KEY} | {"source": name}
            rows += [key | row for row in _rows(pairs, difference, entry.model.scheme == LENGTH, stats)]
    return tables.check(pd.DataFrame(rows), "length_bias")


def _words(words: ScoredModel, entry: ScoredModel, source: str) -> Vector:
    """Words of chosen less rejected (n,) of the model's pairs of one source."""
    wanted = entry.test[source].ids
    known = words.test.get(source)
    found = known is not None and np.isin(wanted, known.ids)
    if known is None or not np.all(found):
        raise ValueError(f"scores: the length rule did not score every test pair of {source} that {entry.model} scored")
    return known.margins[np.searchsorted(known.ids, wanted)]


def _rows(pairs: Pairs, words: Vector, is_rule: bool, stats: Stats) -> list[Row]:
    unequal = words != 0
    label, prompts = np.sign(words[unequal]), pairs.prompts[unequal]
    toward = pairs.margins[unequal] * label
    found: dict[str, tuple[Interval, Codes]] = {}
    if unequal.any():
        # The rule prefers the longer response by construction; what counts is how often it is the chosen one.
        found[LONGER] = accuracy_interval(label if is_rule else toward, prompts, stats.confidence), prompts
    if unequal.any() and not is_rule:
        probability = expit(toward)
        for name, values in ((EXPECTED, probability), (EXCESS, probability - (label > 0))):
            found[name] = clustered_mean(values, prompts, stats.confidence), prompts
    if not is_rule:
        found[CORRELATION] = correlation(pairs.margins, words, pairs.prompts, stats.confidence), pairs.prompts
    return [
        {"statistic": name, **interval.columns(), "n_pairs": own.size, "n_prompts": n_clusters(own)}
        | {"n_equal": int((~unequal).sum())}
        for name, (interval, own) in found.items()
    ]


def correlation(margins: Vector, words: Vector, prompts: Codes, confidence: float) -> Interval:
    """Pearson correlation over both orders of every pair, (n,) each: sum md / sqrt(sum mm sum dd).

    Interval on Fisher's scale, its error clustered by prompt. NaN where one of them is always 0; no limits at +-1.
    """
    size = float(np.linalg.norm(margins) * np.linalg.norm(words))
    if not size > 0:
        return Interval(NAN, n=margins.size)
    m, d = margins / np.linalg.norm(margins), words / np.linalg.norm(words)
    r = float(m @ d)
    if abs(r) >= 1 - 1e-12:
        return Interval(r, n=margins.size)
    influence = m * d - r * (m * m + d * d) / 2
    error = float(np.sqrt(variance_of_sum(influence, prompts))) / (1 - r * r)
    z = normal_interval(float(np.arctanh(r)), error, confidence)
    return Interval(r, float(np.tanh(z.low)), float(np.tanh(z.high)), n=margins.size)
