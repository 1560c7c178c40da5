"""Pairs as the table that travels."""

from collections.abc import Iterable

import pandas as pd

from more_repro.records import PreferencePair, prompt_json
from more_repro.tables import SCHEMAS, check


def pairs_frame(pairs: Iterable[PreferencePair]) -> pd.DataFrame:
    """The pairs as a table `pairs`, in their order."""
    rows = [
        (
            pair.pair_id, pair.prompt_id, pair.source, prompt_json(pair.prompt), pair.chosen, pair.rejected,
            pair.true_preference, pair.shared_margin,
        )
        for pair in pairs
    ]  # fmt: skip
    return check(pd.DataFrame(rows, columns=list(SCHEMAS["pairs"])), "pairs")
