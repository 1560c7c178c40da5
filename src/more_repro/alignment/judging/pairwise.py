"""Verdicts of a judge that is shown two responses: asked twice, the places swapped."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judges.questions import Criterion, Question
from more_repro.alignment.judges.verdict_parser import Answer
from more_repro.alignment.judging.match_ups import Comparisons
from more_repro.records import Message, Outcome, prompt_from_json

Prompt = tuple[Message, ...]
PairJudge = Callable[[Prompt, str, str], Outcome]  # verdict on the first of two responses
Ask = Callable[[Sequence[Question]], Answers]

OTHERS: Criterion = "helpful"  # the criterion of a source that the params give none
_SWAPPED: dict[Outcome, Outcome] = {"win": "lose", "lose": "win", "tie": "tie", "invalid": "invalid"}
_OUTCOMES: dict[Answer | None, Outcome] = {"A": "win", "B": "lose", "tie": "tie", None: "invalid"}
_POINTS = {"win": 1.0, "tie": 0.5, "lose": 0.0, "invalid": np.nan}


class Asked(NamedTuple):
    """first, second: what the judge said with the response in first and in second place, seen from the response."""

    verdict: Outcome
    first: Outcome
    second: Outcome


def swap(verdict: Outcome) -> Outcome:
    """The same verdict seen from the other side."""
    return _SWAPPED[verdict]


def ask_twice(judge: PairJudge, prompt: Prompt, response: str, opponent: str) -> Asked:
    """A pair judge's verdict on `response`, asked in both places: agreement decides, disagreement is a tie.

    One answer that is not valid makes the verdict invalid: it counts in no win rate.
    """
    first, second = judge(prompt, response, opponent), swap(judge(prompt, opponent, response))
    if "invalid" in (first, second):
        return Asked("invalid", first, second)
    return Asked(first if first == second else "tie", first, second)


def pair_verdicts(met: Comparisons, criteria: Mapping[str, Criterion], ask: Ask) -> tuple[pd.DataFrame, Answers]:
    """The table "verdicts", and the answers behind it. Responses that are the same text are a tie without a question.

    criteria: of each source. ask: given every question once, a question that several policies share too.
    """
    prompts = {text: prompt_from_json(text) for text in met.responses["prompt"].unique()}
    of_row = met.responses["prompt"].to_numpy()[met.rows["row"]]
    texts, opponents = met.texts
    asked = [
        (criteria.get(source, OTHERS), prompts[prompt], text, opponent)
        for source, prompt, text, opponent in zip(met.rows["source"], of_row, texts, opponents, strict=True)
    ]
    answers = ask(_questions(asked))
    verdicts = [_verdict(answers, *one) for one in asked]
    rows = met.rows.drop(columns=["row", "opponent_row"])
    columns = {name: [one[place] for one in verdicts] for place, name in enumerate(("verdict", "first", "second"))}
    return tables.check(rows.assign(**columns, score=np.nan, opponent_score=np.nan), "verdicts"), answers


def pair_points(met: Comparisons, verdicts: pd.DataFrame) -> np.ndarray:
    """(prompts, P, P): points of each policy against each other on each prompt, NaN where they did not meet."""
    place = {name: number for number, name in enumerate(met.policies["policy"])}
    prompt = {name: number for number, name in enumerate(met.prompts["prompt_id"])}
    points = np.full((len(prompt), len(place), len(place)), np.nan)
    where = [verdicts["prompt_id"].map(prompt), verdicts["policy"].map(place), verdicts["opponent"].map(place)]
    n, i, j = (numbers.to_numpy() for numbers in where)
    points[n, i, j] = verdicts["verdict"].map(_POINTS)
    points[n, j, i] = 1.0 - points[n, i, j]
    return points


def _questions(asked: Sequence[tuple[Criterion, Prompt, str, str]]) -> list[Question]:
    """Both places of each two responses that differ, every question once."""
    both = (
        (Question(criterion, prompt, text, opponent), Question(criterion, prompt, opponent, text))
        for criterion, prompt, text, opponent in asked
        if text != opponent
    )
    return list(dict.fromkeys(itertools.chain.from_iterable(both)))


def _verdict(answers: Answers, criterion: Criterion, prompt: Prompt, text: str, opponent: str) -> tuple[str, str, str]:
    if text == opponent:
        return "tie", "", ""

    def judge(asked: Prompt, first: str, second: str) -> Outcome:
        return _OUTCOMES[answers.of[Question(criterion, asked, first, second)]]

    return ask_twice(judge, prompt, text, opponent)
