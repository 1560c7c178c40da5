"""Verdicts of a judge that scores responses: two are compared by their scores, near ones are a tie."""

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judging.match_ups import Comparisons

_NAMES = np.array(["lose", "tie", "win"])


def compare(scores: np.ndarray, opponent_scores: np.ndarray, tie_width: float) -> np.ndarray:
    """Verdicts as numbers: 1 win, 0 tie (within `tie_width`), -1 lose, NaN without both scores."""
    difference = np.asarray(scores, dtype=np.float64) - np.asarray(opponent_scores, dtype=np.float64)
    return np.where(np.abs(difference) <= tie_width, 0.0, np.sign(difference))


def scored_verdicts(met: Comparisons, scores: pd.Series, tie_width: float) -> pd.DataFrame:
    """The table "verdicts". scores: of each response, on the responses' index; NaN makes a verdict invalid.

    Raises ValueError where scores and responses differ in their rows.
    """
    values = _values(met, scores)
    score, opponent_score = values[met.rows["row"]], values[met.rows["opponent_row"]]
    numbers = compare(score, opponent_score, tie_width)
    verdicts = np.where(np.isnan(numbers), "invalid", _NAMES[np.nan_to_num(numbers).astype(int) + 1])
    rows = met.rows.drop(columns=["row", "opponent_row"])
    table = rows.assign(verdict=verdicts, first="", second="", score=score, opponent_score=opponent_score)
    return tables.check(table, "verdicts")


def scored_points(met: Comparisons, scores: pd.Series, tie_width: float) -> np.ndarray:
    """(prompts, P, P): 1 where a policy's response beats another's, 0.5 for a tie, 0 for less, NaN on the diagonal."""
    of = _values(met, scores)[met.grid]
    points = (compare(of[:, :, None], of[:, None, :], tie_width) + 1.0) / 2.0
    points[:, np.arange(of.shape[1]), np.arange(of.shape[1])] = np.nan
    return points


def _values(met: Comparisons, scores: pd.Series) -> np.ndarray:
    if not met.responses.index.equals(scores.index):
        raise ValueError(f"{len(scores)} scores for {len(met.responses)} responses, or another index")
    return scores.to_numpy(dtype=np.float64)
