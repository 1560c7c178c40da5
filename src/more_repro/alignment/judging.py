"""Verdicts of a judge on policies, and what they add up to: win rates, and schemes against multitask."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges import oracle, reward_model
from more_repro.alignment.resampling import interval, resample_counts
from more_repro.params import Params, Stats
from more_repro.records import MODEL_KEY, Message, Outcome

Prompt = tuple[Message, ...]
PairJudge = Callable[[Prompt, str, str], Outcome]  # verdict on the first of two responses

OPPONENTS = ("untuned", "sft")
AGAINST = "multitask"
# How near two scores are a tie, per judge of params.
TIE_WIDTHS: dict[str, Callable[[pd.Series], float]] = {
    "oracle": oracle.tie_width,
    "held_out_reward_model": reward_model.tie_width,
}
_SWAPPED: dict[Outcome, Outcome] = {"win": "lose", "lose": "win", "tie": "tie", "invalid": "invalid"}
_POLICY_KEY = ["policy", *MODEL_KEY]
_VALUES = {"win": 1.0, "tie": 0.0, "lose": -1.0, "invalid": np.nan}


def swap(verdict: Outcome) -> Outcome:
    """The same verdict seen from the other side."""
    return _SWAPPED[verdict]


def ask_twice(judge: PairJudge, prompt: Prompt, response: str, opponent: str) -> Outcome:
    """A pair judge's verdict on `response`, asked in both positions: agreement decides, disagreement is a tie.

    One call without a valid answer makes the verdict invalid: it counts in no win rate.
    """
    first, second = judge(prompt, response, opponent), swap(judge(prompt, opponent, response))
    if "invalid" in (first, second):
        return "invalid"
    return first if first == second else "tie"


def compare(scores: np.ndarray, opponent_scores: np.ndarray, tie_width: float) -> np.ndarray:
    """A scoring judge's verdicts as numbers: 1 win, 0 tie (within `tie_width`), -1 lose, NaN without both scores."""
    difference = np.asarray(scores, dtype=np.float64) - np.asarray(opponent_scores, dtype=np.float64)
    return np.where(np.abs(difference) <= tie_width, 0.0, np.sign(difference))


def judge_policies(params: Params, responses: pd.DataFrame, scores: pd.Series) -> pd.DataFrame:
    """Every policy against "untuned" and "sft" on each prompt: the table "verdicts".

    scores: the judge's score of each row of `responses` (same index); NaN makes a verdict invalid.
    Raises ValueError when a policy did not answer the opponents' prompts, or scores and rows differ.
    """
    wide, facts = _wide(responses, scores)
    width = TIE_WIDTHS[params.judge.kind](scores)
    names = np.array(["lose", "tie", "win"])
    parts = []
    for policy in wide.columns:
        for opponent in OPPONENTS:
            if policy == opponent:
                continue
            values = compare(wide[policy].to_numpy(), wide[opponent].to_numpy(), width)
            verdicts = np.where(np.isnan(values), "invalid", names[np.nan_to_num(values).astype(int) + 1])
            parts.append(
                facts.assign(
                    **_key_of(responses, policy), opponent=opponent, verdict=verdicts,
                    score=wide[policy].to_numpy(), opponent_score=wide[opponent].to_numpy(),
                )
            )  # fmt: skip
    return tables.check(pd.concat(parts, ignore_index=True), "verdicts")


def win_rates(verdicts: pd.DataFrame, stats: Stats) -> pd.DataFrame:
    """Shares of win, tie and lose among valid verdicts, per source and for "all": the table "win_rates".

    net = win - lose; its interval is a bootstrap over prompts, the same resamples for every policy. It covers the
    choice of test prompts only: not the reward model's seed, nor the training prompts. Invalid verdicts are counted
    apart. Raises ValueError for a policy without a single valid verdict.
    """
    valued = verdicts.assign(value=verdicts["verdict"].map(_VALUES).astype("float64"))
    columns = [*_POLICY_KEY, "opponent"]
    order = valued[columns].drop_duplicates(ignore_index=True)
    parts = []
    for source, rows in _by_source(valued):
        # pivot refuses two verdicts of one policy on one prompt; pivot_table would average them.
        values = rows.pivot(index="prompt_id", columns=columns, values="value")  # noqa: PD010
        values = values[pd.MultiIndex.from_frame(order)]
        shares = _shares(values.to_numpy(), stats, order["policy"].tolist())
        parts.append(order.assign(source=source, **shares))
    return tables.check(pd.concat(parts, ignore_index=True), "win_rates")


def scheme_duels(params: Params, responses: pd.DataFrame, scores: pd.Series) -> pd.DataFrame:
    """Each scheme's policy against multitask's of the same base, regime and seed: the table "scheme_duels".

    Shares are means over the seeds that both schemes have. The interval of net is a bootstrap over prompts with all
    seeds of a prompt kept together; it leaves out how much another seed, another draw of training prompts or another
    base would change, so it is too narrow for a claim about schemes in general. With one seed it says nothing of them.
    Prompts without a valid verdict for some seed are left out.
    """
    wide, facts = _wide(responses, scores)
    width = TIE_WIDTHS[params.judge.kind](scores)
    policies = responses[_POLICY_KEY].drop_duplicates()
    mixed = policies[policies["trained_on"] == "mixture"]
    pairs = mixed.merge(mixed[mixed["scheme"] == AGAINST], on=["base", "regime", "seed"], suffixes=("", "_against"))
    rows = []
    for key, group in pairs[pairs["scheme"] != AGAINST].groupby(["base", "regime", "scheme"], sort=False):
        values = compare(wide[group["policy"]].to_numpy(), wide[group["policy_against"]].to_numpy(), width)
        for source, where in _places(facts):
            valid = values[where][~np.isnan(values[where]).any(axis=1)]
            row = dict(zip(("base", "regime", "scheme"), key, strict=True))
            rows.append(
                {**row, "against": AGAINST, "source": source, "n_seeds": len(group), **_duel(valid, stats=params.stats)}
            )
    return tables.check(pd.DataFrame(rows), "scheme_duels") if rows else tables.empty("scheme_duels")


def _duel(values: np.ndarray, stats: Stats) -> dict[str, float | int]:
    """Shares of one scheme; values: (prompts, seeds) of 1, 0, -1."""
    if not len(values):
        raise ValueError("no prompt has a valid verdict for every seed")
    of_prompt = values.mean(axis=1)
    low, high = interval(resample_counts(len(values), stats) @ of_prompt / len(values), stats)
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
    low, high = interval(draws, stats)
    return {
        "n_prompts": n_valid, "n_invalid": len(values) - n_valid, "win": win,
        "tie": (values == 0).sum(axis=0) / n_valid, "lose": lose, "net": win - lose, "net_low": low, "net_high": high,
    }  # fmt: skip


def _wide(responses: pd.DataFrame, scores: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores (prompts, policies), and [prompt_id, source] of each prompt in the same order."""
    if not responses.index.equals(scores.index):
        raise ValueError(f"{len(scores)} scores for {len(responses)} responses, or another index")
    facts = responses[["prompt_id", "source"]].drop_duplicates(ignore_index=True)
    wide = responses.assign(value=scores).pivot(index="prompt_id", columns="policy", values="value")  # noqa: PD010
    wide = wide.loc[facts["prompt_id"], responses["policy"].drop_duplicates()]
    missing = [opponent for opponent in OPPONENTS if opponent not in wide.columns]
    if missing:
        raise ValueError(f"no responses of the opponent {missing[0]!r}")
    for policy, count in responses["policy"].value_counts().items():
        if count != len(wide):
            raise ValueError(f"{policy}: {count} responses to {len(wide)} prompts")
    return wide, facts


def _key_of(responses: pd.DataFrame, policy: str) -> dict[str, str | int]:
    row = responses.loc[responses["policy"] == policy, _POLICY_KEY].iloc[0]
    return {str(name): value for name, value in row.items()}


def _by_source(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """("all", every row), then each source in the order of its first row."""
    yield "all", table
    for source, rows in table.groupby("source", sort=False):
        yield str(source), rows


def _places(facts: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    yield "all", np.ones(len(facts), dtype=np.bool_)
    for source in facts["source"].drop_duplicates():
        yield str(source), (facts["source"] == source).to_numpy()
