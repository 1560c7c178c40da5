"""The embedded world's shared utility of responses, read from their texts."""

import pandas as pd

from more_repro.records import prompt_from_json
from more_repro.world import oracle


def scores(responses: pd.DataFrame) -> pd.Series:
    """Shared utility of each row of a table with `prompt`, `response` and `finished`; same index, float."""
    rows = zip(responses["prompt"], responses["response"], responses["finished"], strict=True)
    # Policies share the prompts, and many their responses.
    known: dict[tuple[str, str, bool], float] = {}
    values = []
    for prompt, response, finished in rows:
        key = (prompt, response, bool(finished))
        if key not in known:
            known[key] = oracle.shared_utility(prompt_from_json(prompt), response, bool(finished))
        values.append(known[key])
    return pd.Series(values, index=responses.index, name="score", dtype="float64")
