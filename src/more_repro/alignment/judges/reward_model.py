"""A held-out reward model as judge, for data without an oracle; its scores come from reward.held_out."""

import pandas as pd

TIE_SHARE_OF_SD = 0.05  # our choice: a twentieth of the spread of all the judge's scores is no difference


def tie_width(scores: pd.Series) -> float:
    """How close two scores are a tie: TIE_SHARE_OF_SD standard deviations of the judge's own scores.

    A reward has no unit of its own, so a width must come from its spread. Raises ValueError with fewer than two scores.
    """
    spread = float(scores.std())
    if pd.isna(spread):
        raise ValueError(f"the spread of {scores.notna().sum()} scores is not defined; at least two are needed")
    return TIE_SHARE_OF_SD * spread
