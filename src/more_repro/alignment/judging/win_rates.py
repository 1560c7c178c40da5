"""What verdicts add up to: win rates of every policy, and schemes against the reference."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judging.match_ups import OPPONENTS, POLICY_KEY
from more_repro.params import Stats
from more_repro.schemes import ALL
from more_repro.stats.bootstrap import percentile_interval, resample_counts

_VALUES = {"win": 1.0, "tie": 0.0, "lose": -1.0, "invalid": np.nan}


def win_rates(verdicts: pd.DataFrame, stats: Stats) -> pd.DataFrame:
    """Shares of win, tie and lose against the opponents among valid verdicts, by source and for "all": "win_rates".

    net = win - lose; its interval is a bootstrap over prompts, the same resamples for every policy. It covers the
    choice of test prompts only: not the reward model's seed, nor the training prompts. Invalid verdicts are counted
    apart. Raises ValueError for a policy without a single valid verdict.
    """
    valued = _valued(verdicts[verdicts["opponent"].isin(OPPONENTS)])
    columns = [*POLICY_KEY, "opponent"]
    order = valued[columns].drop_duplicates(ignore_index=True)
    parts = []
    for source, rows in by_source(valued):
        # pivot refuses two verdicts of one policy on one prompt; pivot_table would average them.
        values = rows.pivot(index="prompt_id", columns=columns, values="value")  # noqa: PD010
        values = values[pd.MultiIndex.from_frame(order)]
        shares = _shares(values.to_numpy(), stats, order["policy"].tolist())
        parts.append(order.assign(source=source, **shares))
    return tables.check(pd.concat(parts, ignore_index=True), "win_rates")


def scheme_duels(verdicts: pd.DataFrame, stats: Stats, reference: str) -> pd.DataFrame:
    """Each scheme's policy against the reference's of the same base, regime and seed: the table "scheme_duels".

    reference: the scheme that the others met (multitask).
    Shares are means over the seeds that both schemes have. The interval of net is a bootstrap over prompts with all
    seeds of a prompt kept together; it leaves out how much another seed, another draw of training prompts or another
    base would change, so it is too narrow for a claim about schemes in general. With one seed it says nothing of them.
    Prompts without a valid verdict for some seed are left out.
    """
    valued = _valued(verdicts[~verdicts["opponent"].isin(OPPONENTS)])
    rows = []
    for key, group in valued.groupby(["base", "regime", "scheme"], sort=False):
        for source, part in by_source(group):
            wide = part.pivot(index="prompt_id", columns="policy", values="value")  # noqa: PD010
            values = wide.loc[part["prompt_id"].drop_duplicates().tolist()].to_numpy()
            valid = values[~np.isnan(values).any(axis=1)]
            row = dict(zip(("base", "regime", "scheme"), key, strict=True))
            facts = {"against": reference, "source": source, "n_seeds": values.shape[1]}
            rows.append({**row, **facts, **_duel(valid, stats, f"{row['scheme']} against {reference}, {source}")})
    return tables.check(pd.DataFrame(rows), "scheme_duels") if rows else tables.empty("scheme_duels")


def by_source(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """("all", every row), then each source in the order of its first row."""
    yield ALL, table
    for source, rows in table.groupby("source", sort=False):
        yield str(source), rows


def _valued(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts.assign(value=verdicts["verdict"].map(_VALUES).astype("float64"))


def _duel(values: np.ndarray, stats: Stats, name: str) -> dict[str, float | int]:
    """Shares of one scheme; values: (prompts, seeds) of 1, 0, -1."""
    if not len(values):
        raise ValueError(f"{name}: no prompt has a valid verdict for every seed")
    of_prompt = values.mean(axis=1)
    low, high = percentile_interval(resample_counts(len(values), stats) @ of_prompt / len(values), stats.confidence)
    return {
        "n_prompts": len(values), "win": float((values > 0).mean()), "tie": float((values == 0).mean()),
        "lose": float((values < 0).mean()), "net": float(of_prompt.mean()), "net_low": float(low),
        "net_high": float(high),
    }  # fmt: skip


def _shares(values: np.ndarray, stats: Stats, policies: list[str]) -> dict[str, np.ndarray]:
    """Columns of the win rates; values: (prompts, policies and opponents) of 1, 0, -1, NaN where invalid."""
    valid = ~np.isnan(values)
    n_valid = valid.sum(axis=0)
    if not n_valid.all():
        raise ValueError(f"{policies[int(np.argmin(n_valid))]}: none of {len(values)} verdicts is valid")
    win, lose = (values > 0).sum(axis=0) / n_valid, (values < 0).sum(axis=0) / n_valid
    counts = resample_counts(len(values), stats)
    with np.errstate(invalid="ignore"):  # a resample may hold no valid verdict
        draws = (counts @ np.nan_to_num(values)) / (counts @ valid.astype(np.float64))
    low, high = percentile_interval(draws, stats.confidence)
    return {
        "n_prompts": n_valid, "n_invalid": len(values) - n_valid, "win": win,
        "tie": (values == 0).sum(axis=0) / n_valid, "lose": lose, "net": win - lose, "net_low": low, "net_high": high,
    }  # fmt: skip
