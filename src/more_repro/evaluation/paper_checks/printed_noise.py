"""The printed ECEs of Tables 1, 2 and 4-6 against the noise of their test sets.

No margin is published: the noise is that of invented reward models of the printed accuracy.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.paper import printed_numbers as printed
from more_repro.evaluation.paper_checks.printed_null import null_pairs, over_confidence
from more_repro.params import Stats
from more_repro.schemes import ALIGN, MEAN, PAPER, TOP
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval
from more_repro.stats.intervals import NAN
from more_repro.stats.random import generator

BINS = 10  # the paper's
CORRELATED = 0.8  # of two schemes' errors on one pair, where it is not 0
_HARMLESS_HELPFUL = ("helpful", "harmless")
_UNKNOWN = (
    "null_mean", "null_low", "null_high", "p", "difference", "noise_low", "noise_high", "scale", "p_difference",
    "p_correlated",
)  # fmt: skip
Row = dict[str, Any]


def published_noise(stats: Stats) -> pd.DataFrame:
    """Table "published_noise": each printed ECE with the null band of its n, and its difference from multitask.

    null_*: mean ECE of a calibrated model over the same test sets, p: share of them at least as large. difference:
    scheme less multitask; its noise band and p (two-sided) for two models equally over-confident (by `scale`, so that
    they show the mean of the two printed ECEs; 1 = calibrated) whose errors are unrelated, the widest; p_correlated:
    related by .8. NaN where an accuracy is not above one half, and for multitask itself.
    n: test pairs as printed; pairs of equal rewards, left out of the paper's ECE and not counted there, are among them,
    so the noise is rather more than said here.
    """
    paper = printed.load()
    accuracy = {(str(r["base"]), str(r["scheme"])): r for r in printed.table2(paper).to_dict("records")}
    rows: list[Row] = []
    for name, base, scheme, source, sources, error, other in _printed(paper):
        own = accuracy[base, TOP if scheme == PAPER.single else scheme]
        against = accuracy[base, PAPER.reference]
        first, second = ([float(row[s]) for s in sources] for row in (own, against))
        sizes = [paper.pairs[s].test for s in sources]
        row: Row = {"table": name, "base": base, "scheme": scheme, "source": source, "ece": error, "n": sum(sizes)}
        rows.append(row | _noise((first, second, sizes), error, other, (name, base, scheme, source), stats))
    return tables.check(pd.DataFrame(rows), "published_noise")


def _printed(paper: printed.Published) -> Iterator[tuple[str, str, str, str, tuple[str, ...], float, float]]:
    """(table, base, scheme, source, its test sets, ECE, ECE of multitask)."""
    for base, entry in paper.alignment.bases.items():
        for scheme, model in ((PAPER.reference, entry.multitask), (PAPER.method, entry.more)):
            yield "table1", base, scheme, ALIGN, _HARMLESS_HELPFUL, model.ece, entry.multitask.ece
    for base, schemes in paper.reward_models.items():
        for scheme, values in schemes.items():
            yield "table2", base, scheme, MEAN, tuple(paper.pairs), values.ece, schemes[PAPER.reference].ece
    for base, sources in paper.outliers.items():
        for source, models in sources.items():
            for scheme, outliers in models.items():
                yield "tables4_6", base, scheme, source, (source,), outliers.ece, models[PAPER.reference].ece


def _noise(
    tests: tuple[list[float], list[float], list[int]], error: float, other: float, name: tuple[str, ...], stats: Stats
) -> Row:
    unknown: Row = dict.fromkeys(_UNKNOWN, NAN)
    if min(*tests[0], *tests[1]) <= 0.5:
        return unknown
    rng = generator(stats.seed, "published noise", *name)
    one = null_pairs(*tests, BINS, stats.null_draws, rng)[0]
    low, high = percentile_interval(one, stats.confidence)
    row = {"null_mean": one.mean(), "null_low": low, "null_high": high, "p": monte_carlo_p(one, error)}
    if name[2] == PAPER.reference:
        return unknown | row
    scale = over_confidence([*tests[0], *tests[1]], [*tests[2], *tests[2]], BINS, (error + other) / 2)
    apart, related = (
        np.subtract(*null_pairs(*tests, BINS, stats.null_draws, rng, correlation, scale))
        for correlation in (0.0, CORRELATED)
    )
    # The two accuracies differ, so their ECEs would a little: that is no noise.
    apart, related = apart - apart.mean(), related - related.mean()
    low, high = percentile_interval(apart, stats.confidence)
    seen = error - other
    return row | {
        "difference": seen, "noise_low": low, "noise_high": high, "scale": scale,
        "p_difference": monte_carlo_p(np.abs(apart), abs(seen)),
        "p_correlated": monte_carlo_p(np.abs(related), abs(seen)),
    }  # fmt: skip
