"""How diverse the sources are, before any reward model: texts, linear models, similarity, words."""

from collections.abc import Mapping

import pandas as pd

from more_repro import tables
from more_repro.data import linear, similarity, words
from more_repro.data.intervals import Interval, clustered_mean, clustered_share, plain
from more_repro.data.linear import LinearModel
from more_repro.data.streams import stream
from more_repro.data.words import Texts
from more_repro.params import Params
from more_repro.paths import Paths

_VOCABULARY = 1000  # words that the linear models see
_MOST_DRAWS = 200  # enough for the standard deviation of a cosine

Frames = dict[str, dict[str, pd.DataFrame]]  # source -> split -> table `pairs`


def measure_all(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Compute and write source_statistics, transfer, source_similarity and word_log_odds.

    Reads train and test pairs of every source. In the embedded world source_similarity also has `true_agreement`.
    """
    frames: Frames = {
        name: {split: tables.read(paths.pairs(name, split), "pairs") for split in ("train", "test")}
        for name in params.sources
    }
    train = {name: words.count_words(name, parts["train"]) for name, parts in frames.items()}
    confidence = params.stats.confidence
    transfer, similar = _compare_models(params, frames, train)
    parts = [similarity.of_texts(train), similar, *_true_agreement(params, frames)]
    result = {
        "source_statistics": source_statistics(train, confidence),
        "transfer": transfer,
        "source_similarity": pd.concat(parts, ignore_index=True),
        "word_log_odds": words.word_log_odds(train),
    }
    for name, table in result.items():
        tables.write(table, paths.table("diversity_statistics", name), name)
    return {name: tables.check(table, name) for name, table in result.items()}


def source_statistics(texts: Mapping[str, Texts], confidence: float) -> pd.DataFrame:
    """Table `source_statistics` of training pairs; means are over pairs, intervals clustered by prompt."""
    lines: list[tuple[str, str, float, float, float, int]] = []
    for name, each in texts.items():
        longer = linear.right(each.chosen_words - each.rejected_words)
        statistics: dict[str, Interval] = {
            "mean_prompt_words": clustered_mean(each.prompt_words, each.prompts, confidence),
            "mean_chosen_words": clustered_mean(each.chosen_words, each.prompts, confidence),
            "mean_rejected_words": clustered_mean(each.rejected_words, each.prompts, confidence),
            "mean_turns": clustered_mean(each.turns, each.prompts, confidence),
            "longer_wins": clustered_share(longer, each.prompts, confidence),
            "distinct_prompts": plain(float(len(each.prompt_ids))),
            "distinct_words": plain(float(len(each.words))),
        }
        lines += [(name, statistic, *interval, len(each)) for statistic, interval in statistics.items()]
    return tables.check(pd.DataFrame(lines, columns=list(tables.SCHEMAS["source_statistics"])), "source_statistics")


def _compare_models(params: Params, frames: Frames, train: Mapping[str, Texts]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A linear model of each source's training pairs, on each source's test pairs: transfer, and their similarity."""
    seen = words.common_vocabulary(train, _VOCABULARY)
    bags = {
        split: {name: words.count_words(name, parts[split], seen) for name, parts in frames.items()}
        for split in ("train", "test")
    }
    features = {
        split: {name: words.differences(texts) for name, texts in parts.items()} for split, parts in bags.items()
    }
    prompts = {split: {name: texts.prompts for name, texts in parts.items()} for split, parts in bags.items()}
    draws = min(params.stats.bootstrap_draws, _MOST_DRAWS)
    models = {
        name: linear.fit(
            features["train"][name], prompts["train"][name], draws, stream(params.stats.seed, "diversity", name)
        )
        for name in frames
    }
    confidence = params.stats.confidence
    similar = similarity.of_models(
        models, features["train"], prompts["train"], features["test"], prompts["test"], confidence
    )
    return _transfer(models, bags["test"], confidence), similar


def _transfer(models: Mapping[str, LinearModel], test: Mapping[str, Texts], confidence: float) -> pd.DataFrame:
    lines = []
    for trained_on, model in models.items():
        for tested_on, texts in test.items():
            right = linear.right(model.margins(words.differences(texts)))
            lines.append((trained_on, tested_on, *clustered_share(right, texts.prompts, confidence), len(right)))
    return pd.DataFrame(lines, columns=list(tables.SCHEMAS["transfer"]))


def _true_agreement(params: Params, frames: Frames) -> list[pd.DataFrame]:
    """The embedded world's rows of source_similarity, none where no source is embedded."""
    embedded = {name: source for name, source in params.sources.items() if source.reader == "embedded"}
    if not embedded:
        return []
    from more_repro.data.truth import true_agreement  # studies of other data do not depend on the world

    known_as = {name: source.subset or name for name, source in embedded.items()}
    pairs = {name: frames[name]["test"] for name in embedded}
    return [true_agreement(pairs, known_as, params.data.drift, params.stats.confidence)]
