"""The paper's printed numbers (printed_numbers.yaml beside this file), typed, and as tables in this project's units."""

from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from more_repro.schemes import NONE, PAPER, UNTUNED


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Citation(_Block):
    arxiv: str
    venue: str
    code: str


class Perplexity(_Block):
    helpful: float
    harmless: float


class AlignedModel(_Block):
    accuracy: float
    ece: float
    perplexity: Perplexity


class Duel(_Block):
    win: int
    tie: int
    lose: int


class AlignedBase(_Block):
    multitask: AlignedModel
    more: AlignedModel
    duel: Duel


class Alignment(_Block):
    unaligned: Perplexity
    bases: dict[str, AlignedBase]


class Accuracies(_Block):
    helpful: float
    harmless: float
    oasst1: float
    webgpt: float
    summarize: float
    mean: float
    ece: float


class PairCounts(_Block):
    train: int
    test: int


class Outliers(_Block):
    ece: float
    positive_count: int
    positive_mean: float
    negative_count: int
    negative_mean: float


class Published(_Block):
    """Every printed number. Accuracies and rates in percent; the table functions give shares."""

    citation: Citation
    bases: tuple[str, ...]  # smallest first
    alignment: Alignment
    reward_models: dict[str, dict[str, Accuracies]]  # base, scheme
    pairs: dict[str, PairCounts]  # source
    outliers: dict[str, dict[str, dict[str, Outliers]]]  # base, source, scheme
    hyperparameters: dict[str, dict[str, Any]]


@cache
def load() -> Published:
    """Read printed_numbers.yaml. Raises ValueError naming the keys that are wrong."""
    return parse(files(__package__).joinpath("printed_numbers.yaml").read_text(encoding="utf-8"))


def parse(text: str) -> Published:
    """Check the text of a printed_numbers.yaml."""
    try:
        return Published.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        places = "; ".join(".".join(map(str, one["loc"])) + f": {one['msg']}" for one in error.errors())
        raise ValueError(f"printed_numbers.yaml: {places}") from None


def table1(published: Published) -> pd.DataFrame:
    """[base, scheme, accuracy, ece, perplexity_helpful, perplexity_harmless, win, tie, lose], rates as shares.

    The row base "none", scheme "untuned" is the unaligned policy; the duel of a base stands in its MORE row, NaN else.
    """
    unaligned = published.alignment.unaligned
    rows: list[dict[str, Any]] = [
        {"base": NONE, "scheme": UNTUNED, "perplexity_helpful": unaligned.helpful}
        | {"perplexity_harmless": unaligned.harmless}
    ]
    for base, entry in published.alignment.bases.items():
        for scheme, model in ((PAPER.reference, entry.multitask), (PAPER.method, entry.more)):
            duel = {name: value / 100 for name, value in entry.duel} if scheme == PAPER.method else {}
            rows.append(
                {"base": base, "scheme": scheme, "accuracy": model.accuracy / 100, "ece": model.ece}
                | {"perplexity_helpful": model.perplexity.helpful, "perplexity_harmless": model.perplexity.harmless}
                | duel
            )
    columns = ["base", "scheme", "accuracy", "ece", "perplexity_helpful", "perplexity_harmless", "win", "tie", "lose"]
    return pd.DataFrame(rows).reindex(columns=columns)


def table2(published: Published) -> pd.DataFrame:
    """[base, scheme, one column per source, mean, row_mean, ece], accuracies as shares.

    mean is the printed mean accuracy, row_mean the mean of the printed row: they differ in some rows.
    """
    rows = []
    for base, schemes in published.reward_models.items():
        for scheme, values in schemes.items():
            shares = {name: value / 100 for name, value in values if name != "ece"}
            row_mean = sum(shares[source] for source in published.pairs) / len(published.pairs)
            rows.append({"base": base, "scheme": scheme} | shares | {"row_mean": row_mean, "ece": values.ece})
    return pd.DataFrame(rows)


def table3(published: Published) -> pd.DataFrame:
    """[source, train, test]: pairs."""
    return pd.DataFrame([{"source": source} | dict(counts) for source, counts in published.pairs.items()])


def tables4_6(published: Published) -> pd.DataFrame:
    """[base, source, scheme, ece, positive_count, positive_mean, negative_count, negative_mean]."""
    return pd.DataFrame(
        [
            {"base": base, "source": source, "scheme": scheme} | dict(values)
            for base, sources in published.outliers.items()
            for source, schemes in sources.items()
            for scheme, values in schemes.items()
        ]
    )
