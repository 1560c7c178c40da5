"""Pairs as the table that travels."""

from collections.abc import Iterable

import pandas as pd

from more_repro.records import PreferencePair, pair_digest, prompt_digest, prompt_json
from more_repro.tables import check


def pairs_frame(pairs: Iterable[PreferencePair]) -> pd.DataFrame:
    """The pairs as a table `pairs`, in their order; ids are those of PreferencePair."""
    pairs = list(pairs)
    prompts = [prompt_json(pair.prompt) for pair in pairs]  # once for the column and both ids
    columns = {
        "pair_id": [
            pair_digest(pair.source, prompt, pair.chosen, pair.rejected)
            for pair, prompt in zip(pairs, prompts, strict=True)
        ],
        "prompt_id": [prompt_digest(prompt) for prompt in prompts],
        "source": [pair.source for pair in pairs],
        "prompt": prompts,
        "chosen": [pair.chosen for pair in pairs],
        "rejected": [pair.rejected for pair in pairs],
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})
    for name in ("true_preference", "shared_margin", "score_margin"):
        frame[name] = pd.Series([getattr(pair, name) for pair in pairs], dtype="float64")
    return check(frame, "pairs")
