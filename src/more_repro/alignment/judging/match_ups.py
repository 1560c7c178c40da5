"""Which responses meet before the judge: every policy against two opponents, each scheme against the reference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from more_repro.records import MODEL_KEY
from more_repro.schemes import MIXTURE, SFT, UNTUNED

OPPONENTS = (UNTUNED, SFT)
POLICY_KEY = ["policy", *MODEL_KEY]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """policies: [policy, *MODEL_KEY], P rows. prompts: [prompt_id, source], both in the responses' order.

    grid: (prompts, P), the position in `responses` of each policy's response to each prompt.
    rows: [*policy's key, opponent, prompt_id, source, row, opponent_row], the last two positions in `responses`.
    """

    responses: pd.DataFrame
    policies: pd.DataFrame
    prompts: pd.DataFrame
    grid: np.ndarray
    rows: pd.DataFrame

    @property
    def texts(self) -> tuple[np.ndarray, np.ndarray]:
        """The policy's and the opponent's response of each row."""
        response = self.responses["response"].to_numpy()
        return response[self.rows["row"]], response[self.rows["opponent_row"]]


def comparisons(responses: pd.DataFrame, reference: str, most_prompts: int | None = None) -> Comparisons:
    """Every policy against "untuned" and "sft", and each scheme's against the reference's of its base, regime, seed.

    responses: the table. reference: a scheme (multitask). most_prompts: take so many, the sources in turn; None: all.
    Raises ValueError where a policy did not answer every prompt once, or an opponent is not there.
    """
    prompts = _chosen_prompts(responses, most_prompts)
    policies = responses[POLICY_KEY].drop_duplicates(ignore_index=True)
    for opponent in OPPONENTS:
        if opponent not in set(policies["policy"]):
            raise ValueError(f"no responses of the opponent {opponent!r}")
    grid = _grid(responses, policies, prompts)
    place = {name: number for number, name in enumerate(policies["policy"])}
    parts = [
        prompts.assign(
            **{str(name): value for name, value in policies.iloc[place[policy]].items()},
            opponent=opponent, row=grid[:, place[policy]], opponent_row=grid[:, place[opponent]],
        )
        for policy, opponent in _pairings(policies, reference)
    ]  # fmt: skip
    return Comparisons(responses, policies, prompts, grid, pd.concat(parts, ignore_index=True))


def _pairings(policies: pd.DataFrame, reference: str) -> list[tuple[str, str]]:
    """(policy, opponent), in the order of the policies."""
    found = [(policy, opponent) for policy in policies["policy"] for opponent in OPPONENTS if policy != opponent]
    mixed = policies[policies["trained_on"] == MIXTURE]
    pairs = mixed.merge(mixed[mixed["scheme"] == reference], on=["base", "regime", "seed"], suffixes=("", "_against"))
    pairs = pairs[pairs["scheme"] != reference]
    return found + list(zip(pairs["policy"], pairs["policy_against"], strict=True))


def _chosen_prompts(responses: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """The first prompts of each source, the sources in turn, in the table's order."""
    prompts = responses[["prompt_id", "source"]].drop_duplicates(ignore_index=True)
    turn = prompts.groupby("source").cumcount().sort_values(kind="stable")
    return prompts.loc[sorted(turn.index[:most])].reset_index(drop=True)


def _grid(responses: pd.DataFrame, policies: pd.DataFrame, prompts: pd.DataFrame) -> np.ndarray:
    n_prompts = responses["prompt_id"].nunique()
    for policy, group in responses.groupby("policy", sort=False)["prompt_id"]:
        if len(group) != n_prompts or group.nunique() != n_prompts:
            raise ValueError(f"{policy}: {len(group)} responses to {n_prompts} prompts")
    places = responses[["prompt_id", "policy"]].assign(row=np.arange(len(responses)))
    wide = places.pivot(index="prompt_id", columns="policy", values="row")  # noqa: PD010
    return wide.loc[prompts["prompt_id"], policies["policy"]].to_numpy()
