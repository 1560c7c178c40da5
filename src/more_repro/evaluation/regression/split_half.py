"""Calibration on one half of the test pairs, accuracy on the other: two regressors that share no noise."""

from collections.abc import Sequence

import pandas as pd

from more_repro.evaluation.metrics.accuracy import correctness
from more_repro.evaluation.metrics.ece import ece_of
from more_repro.evaluation.metrics.scored_models import ScoredModel, pooled
from more_repro.params import Stats
from more_repro.records import MODEL_KEY
from more_repro.stats.intervals import Vector
from more_repro.stats.random import generator

COLUMNS = ("ece_first_half", "accuracy_first_half", "ece_second_half", "accuracy_second_half")


def half_table(models: Sequence[ScoredModel], stats: Stats, align_sources: Sequence[str]) -> pd.DataFrame:
    """[MODEL_KEY, COLUMNS] of every model tested on all align sources, their pairs cut in two by prompt.

    The cut is the same for every model. ECE of half the pairs has a larger null mean: its level is not that of the
    whole. A half without pairs gives no row.
    """
    rows = []
    for entry in models:
        if not all(source in entry.test for source in align_sources):
            continue
        pairs = pooled([entry.test[source] for source in align_sources])
        coin = generator(stats.seed, "halves").integers(0, 2, int(pairs.prompts.max()) + 1)[pairs.prompts]
        parts: list[Vector] = [pairs.margins[coin == side] for side in (0, 1)]
        if all(part.size for part in parts):
            values = [value for part in parts for value in (ece_of(part, stats.bins), float(correctness(part).mean()))]
            key = {name: getattr(entry.model, name) for name in MODEL_KEY}
            rows.append(key | dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=[*MODEL_KEY, *COLUMNS])
