import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.alignment.judges import shared_utility
from more_repro.alignment.sampling import best_of_n
from more_repro.records import MODEL_KEY, Message, RewardModelId, prompt_json

KEY = {"base": "b", "regime": "r", "scheme": "more", "trained_on": "mixture", "seed": 0}


def table_of_samples(n_prompts, n):
    rows = [
        (f"p{p}", "helpful", prompt_json((Message("user", f"question {p}"),)), number, f"answer {number}", 2, True)
        for p in range(n_prompts)
        for number in range(n)
    ]
    return pd.DataFrame(rows, columns=["prompt_id", "source", "prompt", "number", "response", "n_tokens", "finished"])


def table_of_rewards(samples, rewards, **key):
    return samples[["prompt_id", "number"]].assign(**{**KEY, **key}, reward=np.asarray(rewards, dtype=float))


reward_grids = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=1, max_size=5)
)


few = settings(max_examples=25, deadline=None)  # each example makes tables, some 20 ms


@few
@given(reward_grids)
def test_the_pick_is_the_first_of_the_highest_rewards(grid):
    samples = table_of_samples(len(grid), len(grid[0]))
    picks = best_of_n.pick(table_of_rewards(samples, np.ravel(grid)), samples)
    assert picks["number"].tolist() == [row.index(max(row)) for row in grid]
    assert picks["reward"].tolist() == [max(row) for row in grid]
    assert picks["prompt_id"].tolist() == samples["prompt_id"].drop_duplicates().tolist()


@few
@given(reward_grids, st.sampled_from([lambda r: 4 * r - 7, np.exp, lambda r: r**3, np.arctan]))
def test_any_increasing_transform_of_rewards_gives_the_same_picks(grid, transform):
    samples = table_of_samples(len(grid), len(grid[0]))
    rewards = table_of_rewards(samples, np.ravel(grid))
    other = rewards.assign(reward=transform(rewards["reward"]))
    assert best_of_n.pick(rewards, samples)["number"].equals(best_of_n.pick(other, samples)["number"])


@few
@given(reward_grids, st.integers(0, 100))
def test_a_shift_of_each_prompts_rewards_gives_the_same_picks(grid, seed):
    samples = table_of_samples(len(grid), len(grid[0]))
    rewards = table_of_rewards(samples, np.ravel(grid))
    shift = np.random.default_rng(seed).integers(-5, 5, len(grid)).repeat(len(grid[0]))
    other = rewards.assign(reward=rewards["reward"] + shift)
    assert best_of_n.pick(rewards, samples)["number"].equals(best_of_n.pick(other, samples)["number"])


def test_models_are_picked_for_apart_and_row_order_changes_nothing():
    samples = table_of_samples(3, 4)
    up, down = np.tile([0, 1, 2, 3], 3), np.tile([3, 2, 1, 0], 3)
    rewards = pd.concat([table_of_rewards(samples, up), table_of_rewards(samples, down, seed=1)], ignore_index=True)
    picks = best_of_n.pick(rewards, samples)
    assert picks.groupby("policy", sort=False)["number"].unique().map(list).tolist() == [[3], [0]]
    assert picks["policy"].unique().tolist() == [str(RewardModelId(*KEY.values())), "b/r/more/mixture/seed1"]
    mixed = best_of_n.pick(rewards.sample(frac=1, random_state=0), samples.sample(frac=1, random_state=1))
    columns = ["policy", "prompt_id", "number"]
    assert set(mixed[columns].itertuples(index=False)) == set(picks[columns].itertuples(index=False))


def test_with_one_sample_every_chooser_picks_it():
    samples = table_of_samples(5, 1)
    rewards = table_of_rewards(samples, np.arange(5))
    choices = (best_of_n.pick(rewards, samples), best_of_n.random_choice(samples, 3), best_of_n.oracle_choice(samples))
    for picks in choices:
        assert picks["number"].tolist() == [0] * 5


def test_random_choice_is_seeded_and_uniform():
    samples = table_of_samples(4000, 4)
    first = best_of_n.random_choice(samples, 0)
    assert first.equals(best_of_n.random_choice(samples, 0))
    assert not first.equals(best_of_n.random_choice(samples, 1))
    assert first["number"].value_counts().between(880, 1120).all()
    assert first["reward"].isna().all()
    assert first[list(MODEL_KEY)].drop_duplicates().values.tolist() == [["none", "none", "random_choice", "none", 0]]


def test_worst_choice_is_the_lowest_reward_of_the_first_aligned_model(params):
    samples = table_of_samples(3, 3)
    own = {"base": params.align.policy, "regime": params.report.regime, "scheme": params.align.schemes[0]}
    mine = table_of_rewards(samples, [3, 1, 2, 1, 1, 2, 5, 6, 4], **own, seed=params.seeds[0])
    others = [
        table_of_rewards(samples, range(9), **own, seed=params.seeds[0] + 7),
        table_of_rewards(samples, range(9), **own | {"regime": "another"}, seed=params.seeds[0]),
        table_of_rewards(samples, range(9), **own | {"base": "another"}, seed=params.seeds[0]),
    ]
    picks = best_of_n.worst_choice(params, pd.concat([*others, mine], ignore_index=True), samples)
    assert picks["number"].tolist() == [1, 0, 2]  # of equal rewards the lowest number
    assert picks["reward"].tolist() == [1, 1, 4]
    assert picks[["policy", *MODEL_KEY]].drop_duplicates().to_numpy().tolist() == [
        ["worst_choice", "none", "none", "worst_choice", "none", 0]
    ]
    rescaled = mine.assign(reward=7 * mine["reward"] - 100)
    assert best_of_n.worst_choice(params, rescaled, samples)["number"].tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="whose worst choices are a control"):
        best_of_n.worst_choice(params, pd.concat(others), samples)


def test_every_reward_model_and_control_has_picks(params):
    samples = table_of_samples(2, 3)
    own = {"base": params.align.policy, "regime": params.report.regime, "scheme": params.align.schemes[0]}
    rewards = table_of_rewards(samples, range(6), **own, seed=params.seeds[0])
    picks = best_of_n.pick_all(params, rewards, samples)
    assert picks["policy"].unique().tolist()[1:] == ["random_choice", "worst_choice", "oracle_choice"]
    held_out = params.model_copy(update={"judge": params.judge.model_copy(update={"kind": "chat"})})
    assert "oracle_choice" not in set(best_of_n.pick_all(held_out, rewards, samples)["policy"])


def test_oracle_choice_has_the_highest_utility_of_each_prompt(study):
    samples = study.samples.assign(utility=shared_utility.scores(study.samples))
    picks = best_of_n.oracle_choice(study.samples).merge(samples, on=["prompt_id", "number"])
    assert (picks["utility"] == picks["prompt_id"].map(samples.groupby("prompt_id")["utility"].max())).all()
    assert picks["utility"].mean() > samples["utility"].mean() + 0.3


def test_picks_come_from_the_prompts_own_samples(study):
    known = set(study.samples[["prompt_id", "number"]].itertuples(index=False, name=None))
    assert set(study.picks[["prompt_id", "number"]].itertuples(index=False, name=None)) <= known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.iloc[1:], "5 rewards for 6 samples"),
        (lambda r: pd.concat([r, r.iloc[:1]]), "stands twice"),
        (lambda r: r.assign(reward=np.nan), "prompt p0 has reward nan"),
        (lambda r: r.assign(number=7), "was not sampled"),
    ],
)
def test_rewards_that_do_not_fit_the_samples_are_refused(change, message):
    samples = table_of_samples(2, 3)
    with pytest.raises(ValueError, match=message):
        best_of_n.pick(change(table_of_rewards(samples, range(6))), samples)
