"""Best of n: the sample of highest reward of each prompt."""

from collections.abc import Sequence

import pandas as pd


def best_of_n(samples: pd.DataFrame, groups: Sequence[str] = ("prompt_id",), by: str = "reward") -> pd.DataFrame:
    """The row of highest `by` of each group, of equal ones that of the lowest `number`; groups as they first stand.

    samples: at least the columns `groups`, number and `by`, a row per sample. Only the order within a group matters:
    any increasing transform of it gives the same rows. Missing values come last.

    Three prompts of four samples: a highest reward, one that two samples share, and one that all share.

    >>> rewards = [[0.1, 0.7, 0.3, 0.2], [2.0, -1.0, 2.0, 0.0], [5.0, 5.0, 5.0, 5.0]]
    >>> rows = [(f"p{row}", number, value) for row, line in enumerate(rewards) for number, value in enumerate(line)]
    >>> best = best_of_n(pd.DataFrame(rows, columns=["prompt_id", "number", "reward"]))
    >>> best.set_index("prompt_id")["number"].to_dict()
    {'p0': 1, 'p1': 0, 'p2': 0}
    >>> best["reward"].tolist()
    [0.7, 2.0, 5.0]
    """
    group = samples.groupby(list(groups), sort=False).ngroup()
    ranked = samples.assign(group_place=group).sort_values(
        ["group_place", by, "number"], ascending=[True, False, True], kind="stable"
    )
    return ranked.drop_duplicates("group_place").drop(columns="group_place")
