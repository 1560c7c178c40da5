"""The embedded world's exact judge: the shared utility, read from the text."""

import pandas as pd

from more_repro.alignment.judges import shared_utility
from more_repro.alignment.judges.judge import ScoringJudge


class Judge(ScoringJudge):
    """Knows the truth of the embedded world, and of no other."""

    note = (
        "Judge: the shared utility of the embedded world, read from the text. It is exact, and it says nothing of what "
        "people would prefer."
    )

    def scores(self, responses: pd.DataFrame) -> pd.Series:
        return shared_utility.scores(responses)

    def tie_width(self, scores: pd.Series) -> float:
        """Utilities are sums of a few decimals: only rounding separates equal ones."""
        return 1e-9
