"""The shorter response wins: a judge that reads nothing."""

import pandas as pd

from more_repro.alignment.judges.judge import ScoringJudge


class Judge(ScoringJudge):
    """Scores a response by its words, the fewer the better."""

    note = "Judge: the shorter response wins. It says how far length alone explains a verdict."

    def scores(self, responses: pd.DataFrame) -> pd.Series:
        return -responses["response"].str.split().str.len().astype("float64")

    def tie_width(self, scores: pd.Series) -> float:
        return 0.5
