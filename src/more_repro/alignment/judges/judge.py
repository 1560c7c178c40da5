"""What a judge is: it scores responses, or answers questions about two of them; and what the report says of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judges.questions import Question
from more_repro.params import Params
from more_repro.paths import Paths

Scorer = Callable[[pd.DataFrame], pd.Series]  # rows with prompt, response, finished -> scores on their index


@dataclass(frozen=True, slots=True)
class JudgeInputs:
    """What a judge may use. held_out: scores of the held-out reward model, which is trained where it is first asked."""

    params: Params
    paths: Paths
    held_out: Scorer


class Judge:
    """note: one or two sentences for the report, on who judged and what follows from that."""

    note: ClassVar[str]

    def __init__(self, inputs: JudgeInputs) -> None:
        self.inputs = inputs

    @classmethod
    def identity(cls, params: Params) -> dict[str, str]:
        """What names this judge beside its kind: verdicts are made anew where it changes.

        "" stands for what is not set or not there. No key, user or password: it is written to a file.
        """
        return {}


class ScoringJudge(Judge):
    """Gives each response a score; two are compared by their scores."""

    def scores(self, responses: pd.DataFrame) -> pd.Series:
        """A score for each row with prompt, response and finished, on its index; NaN where there is none."""
        raise NotImplementedError

    def tie_width(self, scores: pd.Series) -> float:
        """How near two scores are a tie, from all scores of a run."""
        raise NotImplementedError


class JudgeOfPairs(Judge):
    """Is shown two responses and names the better one."""

    def answers(self, questions: Sequence[Question], most_unanswered: float) -> Answers:
        """An answer to each question, no two of which are the same.

        most_unanswered: with more questions than this left without a readable reply the run need not go on.
        Raises JudgeError where the judge cannot be asked.
        """
        raise NotImplementedError
