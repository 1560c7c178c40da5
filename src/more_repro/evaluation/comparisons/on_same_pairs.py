"""Two mixed reward models on the same test pairs: how they differ, and what the pairs alone could make of it.

Accuracy, log loss and log slope are bootstrapped over prompts. The difference of two ECEs is not (a bootstrap of ECE is
biased): it is held against the differences that arise when the two models swap their margins, prompt by prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.comparisons.resampling import Pool, bootstrap_draws, swap_draws
from more_repro.evaluation.metrics import ece
from more_repro.evaluation.metrics.scored_models import ScoredModel, pooled, test_sources
from more_repro.params import Stats
from more_repro.schemes import MIXTURE, POOLS, Roles
from more_repro.stats.bootstrap import monte_carlo_p, percentile_interval
from more_repro.stats.intervals import NAN, Interval, Vector, satterthwaite_df, t_interval
from more_repro.stats.multiple_testing import holm
from more_repro.stats.random import generator

COMBINED = "combined"
METRICS = ("accuracy", "log_loss", "log_slope", "ece")
_CELL = ["base", "regime", "source", "against", "seed"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Duel:
    """One scheme and one reference of a base and regime, model by model over the seeds: places in the pool's list."""

    base: str
    regime: str
    scheme: str
    against: str
    seeds: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


def paired_table(
    models: Sequence[ScoredModel], stats: Stats, align_sources: Sequence[str], roles: Roles
) -> pd.DataFrame:
    """Table "paired": scheme minus reference on the same pairs, on "align" and on "all", per seed and combined.

    References: multitask for every other scheme, and MORE for every third one.
    Models of trained_on "mixture", within base, regime and seed. p_holm: over schemes x metrics of one base, regime,
    pool, reference and seed. combined: the mean over seeds; its error adds the spread over seeds to the noise of the
    pairs, which all seeds share. ECE: null_low, null_high hold what the null (the two models are exchangeable) leaves
    of the difference: of one seed the middle of the swaps, combined the t band of the spread over seeds plus the
    variance of the swaps; p likewise.
    Raises ValueError: two models that were not scored on the same pairs.
    """
    mixed = [entry for entry in models if entry.model.trained_on == MIXTURE]
    rows: list[Row] = []
    for name in POOLS:
        parts = [entry.pools(align_sources, test_sources(models)).get(name) for entry in mixed]
        there = [(entry, part) for entry, part in zip(mixed, parts, strict=True) if part]
        duels = _duels([entry for entry, _ in there], (roles.reference, roles.method))
        if duels:
            pool = Pool.of([(str(entry.model), pooled([entry.test[p] for p in part])) for entry, part in there])
            rows += [{"source": name} | row for row in _pool_rows(pool, name, duels, stats)]
    if not rows:
        return tables.empty("paired")
    table = pd.DataFrame(rows)
    for _, index in table.groupby(_CELL).groups.items():
        table.loc[index, "p_holm"] = holm(table.loc[index, "p"])
    return tables.check(table, "paired")


def _duels(models: Sequence[ScoredModel], references: Sequence[str]) -> list[Duel]:
    place = {(m.model.base, m.model.regime, m.model.scheme, m.model.seed): n for n, m in enumerate(models)}
    found = []
    for base, regime, scheme in sorted({key[:3] for key in place}):
        for number, against in enumerate(references):
            seeds = sorted(key[3] for key in place if key[:3] == (base, regime, scheme))
            seeds = [seed for seed in seeds if (base, regime, against, seed) in place]
            if scheme in references[: number + 1] or not seeds:
                continue  # more against multitask is one comparison, and no scheme meets itself
            both = [(place[base, regime, scheme, seed], place[base, regime, against, seed]) for seed in seeds]
            found.append(Duel(base, regime, scheme, against, tuple(seeds), tuple(both)))
    return found


def _pool_rows(pool: Pool, name: str, duels: Sequence[Duel], stats: Stats) -> Iterator[Row]:
    draws = bootstrap_draws(pool, stats.bootstrap_draws, generator(stats.seed, "paired", name))
    pairs = [pair for duel in duels for pair in duel.pairs]
    swaps = swap_draws(pool, pairs, stats, generator(stats.seed, "swap", name))
    floors = [ece.null_mean(margins, stats.bins) for margins in pool.margins]
    values = np.array([ece.ece_of(margins, stats.bins) for margins in pool.margins])
    first = 0
    for duel in duels:
        own = slice(first, first + len(duel.pairs))
        first = own.stop
        sizes = {"n_pairs": pool.n_pairs, "n_prompts": pool.n_prompts}
        key = {"base": duel.base, "regime": duel.regime, "scheme": duel.scheme, "against": duel.against} | sizes
        for metric in METRICS[:-1]:
            seen = np.array([pool.metrics[metric][a] - pool.metrics[metric][b] for a, b in duel.pairs])
            noise = np.stack([draws[metric][:, a] - draws[metric][:, b] for a, b in duel.pairs], axis=1)
            yield from _tested(key | {"metric": metric}, duel, seen, noise, pool.n_prompts, stats)
        seen = np.array([values[a] - values[b] for a, b in duel.pairs])
        gap = max(abs(floors[a] - floors[b]) for a, b in duel.pairs)
        note = "" if ece.comparable(gap, 0.0) else f"null means differ by {gap:.4f}: compare the log slope"
        if any((pool.slopes[a] - 1) * (pool.slopes[b] - 1) < 0 for a, b in duel.pairs):
            sides = "slopes lie on opposite sides of 1: exchangeable they are not, equal ECE they may have"
            note = "; ".join(filter(None, [note, sides]))
        yield from _swapped(key | {"metric": "ece", "note": note}, duel, seen, swaps[:, own], pool.n_prompts, stats)


def _tested(key: Row, duel: Duel, seen: Vector, noise: Any, n_prompts: int, stats: Stats) -> Iterator[Row]:
    """Rows of a bootstrapped metric. seen (S,), noise (draws, S): the differences of each seed, and their redraws."""
    errors = np.square(noise.std(axis=0, ddof=1))
    for seed, estimate, error in zip(duel.seeds, seen, errors, strict=True):
        yield _row(key, str(seed), 1, t_interval(float(estimate), float(np.sqrt(error)), n_prompts - 1, *_two(stats)))
    within = float(np.square(noise.mean(axis=1).std(ddof=1)))
    yield _row(key, COMBINED, len(seen), _combined(seen, within, n_prompts, stats))


def _combined(seen: Vector, within: float, n_prompts: int, stats: Stats) -> Interval:
    """Mean over seeds. The noise of one seed's own pairs enters twice (in both terms), so the error is cautious."""
    between = float(seen.var(ddof=1)) / seen.size if seen.size > 1 else 0.0
    df = float(satterthwaite_df([between, within], [seen.size - 1, n_prompts - 1]))
    if between > within:  # few seeds estimate their variance badly, and then the sum is no better known
        df = min(df, seen.size - 1)
    elif np.isinf(df):  # nothing varies
        df = n_prompts - 1
    return t_interval(float(seen.mean()), float(np.sqrt(between + within)), df, *_two(stats))


def _two(stats: Stats) -> tuple[float, int]:
    return stats.confidence, 0


def _swapped(key: Row, duel: Duel, seen: Vector, swaps: Any, n_prompts: int, stats: Stats) -> Iterator[Row]:
    """Rows of ECE. swaps (draws, S): differences after swapping, the same prompts in every seed."""
    for seed, value, null in zip(duel.seeds, seen, swaps.T, strict=True):
        low, high = percentile_interval(null, stats.confidence)
        p = monte_carlo_p(np.abs(null), abs(value))
        yield _row(key, str(seed), 1, Interval(float(value), p=p)) | {"null_low": float(low), "null_high": float(high)}
    # The swaps know these models alone: what other seeds would have given comes from the spread over seeds.
    whole = _combined(seen, float(swaps.mean(axis=1).var(ddof=1)), n_prompts, stats)
    half = (whole.high - whole.low) / 2
    yield _row(key, COMBINED, len(seen), Interval(whole.estimate, p=whole.p)) | {"null_low": -half, "null_high": half}


def _row(key: Row, seed: str, n_seeds: int, interval: Interval) -> Row:
    note = ""
    if np.isnan(interval.estimate):
        note = "undefined: a slope is not positive"
    elif np.isnan(interval.p):
        note = "no interval: a slope is not positive in some redraws"
    limits = {**interval.columns(), "p": interval.p, "p_holm": NAN, "null_low": NAN, "null_high": NAN}
    return {"note": note} | key | limits | {"seed": seed, "n_seeds": n_seeds}
