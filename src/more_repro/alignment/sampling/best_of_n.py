"""Best-of-n: which sample each reward model picks, and the controls that bound what a choice can do."""

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges import shared_utility
from more_repro.params import Params
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.schemes import LENGTH, NONE, ORACLE_CHOICE, RANDOM_CHOICE, WORST_CHOICE
from more_repro.stats.best_of_n import best_of_n
from more_repro.stats.random import numbered

_KEY = list(MODEL_KEY)


def reference_key(policy: str) -> dict[str, str | int]:
    """Key columns of a policy that is a reference, not the choice of one reward model among others."""
    return {"policy": policy, "base": NONE, "regime": NONE, "scheme": policy, "trained_on": NONE, "seed": 0}


def pick(rewards: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """For every reward model and prompt the sample of highest reward, ties to the lowest number: the table "picks".

    rewards: [base, regime, scheme, trained_on, seed, prompt_id, number, reward], one row per model and sample.
    Only the order of a prompt's rewards matters: any increasing transform of them gives the same picks.
    Raises ValueError naming the model where a sample has no reward, two, or one that is not a finite number.
    """
    places = samples[["prompt_id", "number", "source"]].assign(place=np.arange(len(samples)))
    scored = rewards.merge(places, on=["prompt_id", "number"], how="left", validate="many_to_one")
    _check_rewards(scored, len(samples))
    # Models in the order of their first row, prompts in the samples' order.
    models, prompts = scored.groupby(_KEY, sort=False).ngroup(), places.groupby("prompt_id")["place"].min()
    scored = scored.assign(model=models, prompt_place=scored["prompt_id"].map(prompts))
    best = best_of_n(scored.sort_values(["model", "prompt_place"], kind="stable"), ("model", "prompt_id"))
    names = [str(RewardModelId(*row)) for row in best[_KEY].itertuples(index=False, name=None)]
    columns = [*_KEY, "prompt_id", "source", "number", "reward"]
    return tables.check(best[columns].assign(policy=names), "picks")


def pick_all(params: Params, rewards: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The picks of every reward model, of chance, the worst of one model, and, where the utility is known, the best."""
    parts = [pick(rewards, samples), random_choice(samples, params.data.seed)]
    if len(rewards):
        parts.append(worst_choice(params, rewards, samples))
    if params.judge.kind == "oracle":
        parts.append(oracle_choice(samples))
    return tables.check(pd.concat(parts, ignore_index=True), "picks")


def worst_choice(params: Params, rewards: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The sample of LOWEST reward, ties to the lowest number: the table "picks", policy "worst_choice".

    The reward model is one alone: the first of align.schemes, of the policy's base, report.regime and the first seed.
    A policy tuned on these must lose to every other: if it does not, the way from rewards to win rates is broken.
    Raises ValueError where `rewards` has no such model.
    """
    scheme = params.align.schemes[0]
    # `raw` has no regime, the length rule no base either.
    mine = rewards["scheme"].eq(scheme) & rewards["base"].isin((params.align.policy, NONE))
    mine &= rewards["regime"].isin((params.report.regime, NONE))
    seed = 0 if scheme == LENGTH else params.seeds[0]
    own = rewards[mine & rewards["seed"].eq(seed)]
    if own.empty:
        raise ValueError(
            f"no rewards of {params.align.policy}/{params.report.regime}/{scheme}/seed{seed}, the model whose worst "
            "choices are a control"
        )
    picks = pick(own.assign(reward=-own["reward"]), samples)
    return tables.check(picks.assign(reward=-picks["reward"], **reference_key(WORST_CHOICE)), "picks")


def random_choice(samples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One sample per prompt by chance, the control for fine-tuning on the policy's own text: the table "picks"."""
    rng = numbered(seed)
    drawn = samples.assign(draw=rng.random(len(samples)), reward=np.nan)
    return _reference(drawn, "draw", RANDOM_CHOICE)


def oracle_choice(samples: pd.DataFrame) -> pd.DataFrame:
    """The sample of highest shared utility, the best that any reward model can do: the table "picks".

    Embedded world only: elsewhere there is no shared utility to read.
    """
    return _reference(samples.assign(reward=shared_utility.scores(samples)), "reward", ORACLE_CHOICE)


def _reference(samples: pd.DataFrame, by: str, policy: str) -> pd.DataFrame:
    columns = ["prompt_id", "source", "number", "reward"]
    return tables.check(best_of_n(samples, by=by)[columns].assign(**reference_key(policy)), "picks")


def _check_rewards(scored: pd.DataFrame, n_samples: int) -> None:
    unknown = scored["source"].isna()
    if unknown.any():
        row = scored[unknown].iloc[0]
        raise ValueError(
            f"a reward is given for prompt {row['prompt_id']} number {row['number']}, which was not sampled"
        )
    bad = ~np.isfinite(scored["reward"])
    if bad.any():
        row = scored[bad].iloc[0]
        raise ValueError(f"{RewardModelId(*row[_KEY])}: prompt {row['prompt_id']} has reward {row['reward']}")
    double = scored.duplicated([*_KEY, "prompt_id", "number"])
    if double.any():
        row = scored[double].iloc[0]
        raise ValueError(f"{RewardModelId(*row[_KEY])}: prompt {row['prompt_id']} number {row['number']} stands twice")
    for _, rows in scored.groupby(_KEY, sort=False):
        if len(rows) != n_samples:
            raise ValueError(f"{RewardModelId(*rows[_KEY].iloc[0])}: {len(rows)} rewards for {n_samples} samples")
