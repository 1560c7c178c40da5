"""How long the texts of a source are, and whether length decides its preferences."""

import pandas as pd

from more_repro.data.diversity.bag_of_words import Texts
from more_repro.data.diversity.linear_bradley_terry import right
from more_repro.stats.clustered import clustered_mean, clustered_quantile, clustered_share
from more_repro.stats.intervals import Codes, Floats, Interval
from more_repro.tables import SCHEMAS, check

QUANTILES = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}


def source_statistics(texts: Texts, confidence: float) -> pd.DataFrame:
    """Rows of table `source_statistics`: lengths in words and user turns, over pairs; intervals clustered by prompt."""
    longer = texts.chosen_words - texts.rejected_words
    found: dict[str, Interval] = {}
    for what, values in (
        ("prompt_words", texts.prompt_words),
        ("chosen_words", texts.chosen_words),
        ("rejected_words", texts.rejected_words),
        ("extra_words_of_chosen", longer),
        ("turns", texts.turns),
    ):
        found |= _spread(what, values, texts.prompts, confidence)
    found |= {
        "multi_turn": clustered_share((texts.turns > 1).astype(float), texts.prompts, confidence),
        "longer_wins": clustered_share(right(longer), texts.prompts, confidence),
        "distinct_prompts": Interval(float(len(texts.keys))),
        "distinct_words": Interval(float(len(texts.words))),
    }
    lines = [(texts.source, name, *interval.values(), len(texts), len(texts.keys)) for name, interval in found.items()]
    return check(pd.DataFrame(lines, columns=list(SCHEMAS["source_statistics"])), "source_statistics")


def _spread(what: str, values: Floats, prompts: Codes, confidence: float) -> dict[str, Interval]:
    rows = {f"mean_{what}": clustered_mean(values, prompts, confidence)}
    return rows | {
        f"{name}_{what}": clustered_quantile(values, prompts, share, confidence) for name, share in QUANTILES.items()
    }
