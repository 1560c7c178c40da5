"""How diverse the sources are, before any reward model: texts, words, what a linear model learns of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pyarrow.parquet import read_metadata
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from more_repro import tables
from more_repro.data.diversity import (
    bag_of_words,
    linear_bradley_terry,
    overlap,
    preference_similarity,
    source_classifier,
)
from more_repro.data.diversity.bag_of_words import Texts
from more_repro.data.diversity.keyed_random import Keys
from more_repro.data.diversity.lengths import source_statistics
from more_repro.data.diversity.linear_bradley_terry import LinearModel
from more_repro.data.diversity.log_odds import word_log_odds
from more_repro.data.diversity.overlap import Comparisons, Frequent, Line
from more_repro.data.diversity.source_classifier import Sample
from more_repro.data.diversity.word_divergence import word_divergence
from more_repro.params import Params, Stats
from more_repro.paths import Paths
from more_repro.stats.intervals import Codes, Interval
from more_repro.workers import run_jobs

Job = TypeVar("Job")
Result = TypeVar("Result")

_VOCABULARY = 1000  # words that the linear models see
_MOST_PAIRS = 20_000  # that a linear model, or a word statistic that redraws pairs, sees of a source
_MOST_TEXTS = 1_000  # prompts, and responses, that the classifiers see of a source
_MOST_DRAWS = 200  # enough for the standard deviation of a cosine
_MOST_NULL_DRAWS = 400
_SPLITS = 4
_WORTH_A_POOL = 10_000  # training pairs of all sources; with fewer, starting workers takes longer than the work
_SQUARE = list(tables.SCHEMAS["source_similarity"])


@dataclass(frozen=True, slots=True)
class _Reading:
    """A job: read and count one source. known_as: what the embedded world calls its sources; empty for others."""

    source: str
    train: Path
    test: Path
    stats: Stats
    known_as: Mapping[str, str]
    drift: float


@dataclass(frozen=True, slots=True)
class _Read:
    """What is kept of a source's texts: its own tables, and counts of a part of its pairs."""

    tables: dict[str, pd.DataFrame]
    train: Texts
    test: Texts
    frequent: Frequent
    compared: Comparisons
    sample: Sample
    truth: list[Line]


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A job: fit the linear model of one source."""

    features: csr_matrix
    prompts: Codes
    keys: Keys
    stats: Stats


@dataclass(frozen=True, slots=True)
class _Telling:
    """A job: tell two sources apart by prompts or by responses."""

    a: Sample
    b: Sample
    what: str
    stats: Stats


def measure_all(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Compute and write source_statistics, word_divergence, word_log_odds, source_similarity and transfer.

    Reads train and test pairs of every source, each in a worker. Of a source with more than 20,000 pairs a random part,
    whole prompts, is used for all but lengths and shared prompts; column n has the number.
    """
    pool = sum(read_metadata(paths.pairs(name, "train")).num_rows for name in params.sources) >= _WORTH_A_POOL
    read = dict(zip(params.sources, _work(_read, _readings(params, paths), "sources", pool), strict=True))
    transfer, lines = _compare(params.stats, read, pool)
    similar = pd.DataFrame([*lines, *(line for each in read.values() for line in each.truth)], columns=_SQUARE)
    own = ("source_statistics", "word_divergence", "word_log_odds")
    result = {name: pd.concat([each.tables[name] for each in read.values()], ignore_index=True) for name in own}
    result |= {"source_similarity": similar, "transfer": transfer}
    for name, table in result.items():
        tables.write(table, paths.table("diversity_statistics", name), name)
    return {name: tables.check(table, name) for name, table in result.items()}


def _work(function: Callable[[Job], Result], jobs: Sequence[Job], label: str, pool: bool) -> list[Result]:
    """The jobs' results, from worker processes or from this one; the numbers are the same."""
    if not pool:
        return [function(job) for job in jobs]
    return run_jobs(function, jobs, label, preload=("more_repro.data.diversity.measure_all",), uses_torch=False)


def _readings(params: Params, paths: Paths) -> list[_Reading]:
    known_as = {name: each.subset or name for name, each in params.sources.items() if each.reader == "embedded"}
    return [
        _Reading(
            name, paths.pairs(name, "train"), paths.pairs(name, "test"), params.stats,
            known_as if name in known_as else {}, params.data.drift,
        )
        for name in params.sources
    ]  # fmt: skip


def _read(job: _Reading) -> _Read:
    with threadpool_limits(1):  # sums over threads have other last bits
        return _count(job)


def _count(job: _Reading) -> _Read:
    stats, seed = job.stats, job.stats.seed
    pairs = tables.read(job.test, "pairs")
    test, truth = (
        bag_of_words.sample(bag_of_words.count_words(job.source, pairs), _MOST_PAIRS, seed),
        _truth(job, pairs),
    )
    pairs = tables.read(job.train, "pairs")
    sample = source_classifier.draw_sample(job.source, pairs, _MOST_TEXTS, seed)
    texts = bag_of_words.count_words(job.source, pairs)
    prompts, compared = texts.keys, overlap.comparisons(pairs)
    del pairs
    own = {"source_statistics": source_statistics(texts, stats.confidence)}
    texts = bag_of_words.sample(texts, _MOST_PAIRS, seed)
    draws = min(stats.null_draws, _MOST_NULL_DRAWS)
    own["word_divergence"] = word_divergence(texts, draws, seed, stats.confidence)
    own["word_log_odds"] = word_log_odds(texts, stats.confidence)
    return _Read(own, texts, test, overlap.frequent_words(texts, prompts, seed), compared, sample, truth)


def _truth(job: _Reading, pairs: pd.DataFrame) -> list[Line]:
    if not job.known_as:
        return []
    from more_repro.data.diversity.true_agreement import (
        true_choices,  # studies of other data do not depend on the world
    )

    return list(true_choices(job.source, pairs, job.known_as, job.drift, job.stats.confidence))


def _compare(stats: Stats, read: Mapping[str, _Read], pool: bool) -> tuple[pd.DataFrame, list[Line]]:
    """Table `transfer`, and the lines of source_similarity that are estimated from texts and from linear models."""
    vocabulary = bag_of_words.common_vocabulary({name: each.train for name, each in read.items()}, _VOCABULARY)
    train = {name: bag_of_words.restrict(each.train, vocabulary) for name, each in read.items()}
    test = {name: bag_of_words.differences(bag_of_words.restrict(each.test, vocabulary)) for name, each in read.items()}
    prompts = {name: each.test.prompts for name, each in read.items()}
    fitting = [_Fitting(bag_of_words.differences(texts), texts.prompts, texts.keys, stats) for texts in train.values()]
    n_pairs = {name: len(texts) for name, texts in train.items()}
    del train
    telling = _tellings({name: each.sample for name, each in read.items()}, stats)
    jobs: list[_Fitting | _Telling] = [*fitting, *telling]
    done = _work(_fit_or_tell, jobs, "linear models", pool)
    models = {name: each for name, each in zip(read, done, strict=False) if isinstance(each, LinearModel)}
    told = [each for each in done if not isinstance(each, LinearModel)]
    lines = [
        *overlap.overlaps({name: each.frequent for name, each in read.items()}, stats.confidence),
        *overlap.shared_comparisons({name: each.compared for name, each in read.items()}, stats.confidence),
        *_told_apart(telling, told),
        *preference_similarity.directions(models, test, n_pairs, stats.confidence),
        *preference_similarity.choices(models, test, prompts, stats.confidence),
    ]
    return linear_bradley_terry.transfer(models, test, prompts, stats.confidence), lines


def _tellings(samples: Mapping[str, Sample], stats: Stats) -> list[_Telling]:
    both = combinations_with_replacement(samples.values(), 2)
    return [_Telling(a, b, what, stats) for a, b in both for what in ("prompts", "responses")]


def _fit_or_tell(job: _Fitting | _Telling) -> LinearModel | tuple[Interval, int]:
    """One function for both kinds of job, so that one pool does both."""
    stats = job.stats
    with threadpool_limits(1):
        if isinstance(job, _Telling):
            return source_classifier.auc_of_sources(job.a, job.b, job.what, stats.seed, stats.confidence)
        draws = min(stats.bootstrap_draws, _MOST_DRAWS)
        return linear_bradley_terry.fit(job.features, job.prompts, job.keys, stats.seed, _SPLITS, draws)


def _told_apart(telling: Sequence[_Telling], found: Sequence[tuple[Interval, int]]) -> Iterator[Line]:
    """Lines prompt_auc and response_auc of table `source_similarity`, for every ordered pair of sources."""
    for job, (interval, n) in zip(telling, found, strict=True):
        a, b, measure = job.a.source, job.b.source, f"{job.what.removesuffix('s')}_auc"
        for first, second in dict.fromkeys([(a, b), (b, a)]):
            yield (first, second, measure, *interval.values(), n)
