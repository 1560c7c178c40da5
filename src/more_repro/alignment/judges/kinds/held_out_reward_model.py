"""A held-out reward model as judge, for data without an oracle; its scores come from `reward.held_out_judge`."""

import pandas as pd

from more_repro.alignment.judges.judge import ScoringJudge

TIE_SHARE_OF_SD = 0.05  # our choice: a twentieth of the spread of all the judge's scores is no difference


class Judge(ScoringJudge):
    """Trained on validation pairs, which no other model saw."""

    note = (
        "Judge: a reward model trained on validation pairs that no other model saw. It shares the kind of base and of "
        "pairs with the reward models that it judges, and so may share their errors: what all of them overrate, it "
        "cannot see."
    )

    def scores(self, responses: pd.DataFrame) -> pd.Series:
        return self.inputs.held_out(responses)

    def tie_width(self, scores: pd.Series) -> float:
        """TIE_SHARE_OF_SD standard deviations of the judge's own scores.

        A reward has no unit of its own, so a width must come from its spread. Raises ValueError with fewer than two
        scores.
        """
        spread = float(scores.std())
        if pd.isna(spread):
            raise ValueError(f"the spread of {scores.notna().sum()} scores is not defined; at least two are needed")
        return TIE_SHARE_OF_SD * spread
