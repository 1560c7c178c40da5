import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro import tables
from more_repro.alignment import judging
from more_repro.alignment.best_of_n import reference_key
from more_repro.alignment.judges import oracle, reward_model
from more_repro.params import Stats
from more_repro.records import Message, prompt_from_json
from more_repro.world import oracle as world_oracle

STATS = Stats(seed=0, bins=10, null_draws=10, bootstrap_draws=2000, permutation_draws=10, confidence=0.95)
PROMPT = (Message("user", "hello"),)
numbers = st.floats(-10, 10)


def responses_of(scores_of, n_prompts, source=lambda number: "helpful"):
    """A responses table and its scores from {policy or (scheme, seed): list of scores}."""
    rows, values = [], []
    for name, scores in scores_of.items():
        if isinstance(name, tuple):
            scheme, seed = name
            key = {
                "policy": f"{scheme}{seed}",
                "base": "b",
                "regime": "r",
                "scheme": scheme,
                "trained_on": "mixture",
                "seed": seed,
            }
        else:
            key = reference_key(name)
        for number in range(n_prompts):
            text = {"prompt": "[]", "response": "a", "n_tokens": 1, "finished": True}
            rows.append({**key, "prompt_id": f"p{number}", "source": source(number), **text})
        values.extend(scores)
    return tables.check(pd.DataFrame(rows), "responses"), pd.Series(values, dtype=float)


def verdict(params, score, opponent):
    table, scores = responses_of({("more", 0): [score], "sft": [opponent], "untuned": [opponent]}, 1)
    return judging.judge_policies(params, table, scores).loc[0, "verdict"]


@given(numbers, numbers, st.sampled_from([1e-9, 0.5]))
def test_swapping_positions_swaps_the_verdict(first, second, width):
    there = judging.compare(np.array([first]), np.array([second]), width)
    back = judging.compare(np.array([second]), np.array([first]), width)
    assert there == -back


def test_the_oracles_tie_is_rounding_only(params):
    assert params.judge.kind == "oracle"
    assert verdict(params, 0.1 + 0.2, 0.3) == "tie"
    assert verdict(params, 0.3001, 0.3) == "win"
    assert verdict(params, 0.3, 0.3001) == "lose"
    assert verdict(params, float("nan"), 0.3) == "invalid"


def test_a_reward_models_tie_follows_its_own_spread(params):
    judge = params.judge.model_copy(update={"kind": "held_out_reward_model"})
    params = params.model_copy(update={"judge": judge})
    scores = {("more", 0): [0.2, 2.0, 5.0], "sft": [0.0, 0.0, 0.0], "untuned": [10.0, -10.0, 0.0]}
    table, values = responses_of(scores, 3)
    width = 0.05 * values.std()
    for factor in (1, 1000):  # the unit of a reward means nothing
        found = judging.judge_policies(params, table, values * factor)
        mine = found[(found["policy"] == "more0") & (found["opponent"] == "sft")]
        expected = ["tie" if score <= width else "win" for score in (0.2, 2.0, 5.0)]
        assert mine["verdict"].tolist() == expected
        assert "tie" in expected
    with pytest.raises(ValueError, match="at least two"):
        reward_model.tie_width(pd.Series([1.0]))


def test_a_judge_that_always_prefers_the_first_place_gives_a_tie():
    assert judging.ask_twice(lambda prompt, first, second: "win", PROMPT, "a", "b") == "tie"


@pytest.mark.parametrize("better", ["longer", "shorter"])
def test_asking_twice_follows_a_judge_that_agrees_with_itself(better):
    def judge(prompt, first, second):
        longer = len(first) > len(second)
        return "win" if longer == (better == "longer") else "lose"

    there = judging.ask_twice(judge, PROMPT, "long one", "short")
    assert there == ("win" if better == "longer" else "lose")
    assert judging.ask_twice(judge, PROMPT, "short", "long one") == judging.swap(there)


def test_one_unreadable_answer_makes_the_verdict_invalid():
    answers = iter(["win", "invalid"])
    assert judging.ask_twice(lambda *_: next(answers), PROMPT, "a", "b") == "invalid"


def test_every_policy_meets_both_opponents_but_not_itself(study):
    scores = oracle.scores(study.responses)
    verdicts = judging.judge_policies(study.params, study.responses, scores)
    assert tables.check(verdicts, "verdicts").equals(verdicts)
    met = verdicts.groupby("policy")["opponent"].unique().map(sorted).to_dict()
    assert met.pop("sft") == ["untuned"]
    assert met.pop("untuned") == ["sft"]
    assert all(opponents == ["sft", "untuned"] for opponents in met.values())
    swapped = {"win": "lose", "lose": "win", "tie": "tie"}
    one = verdicts.query("policy == 'sft'").set_index("prompt_id")["verdict"]
    other = verdicts.query("policy == 'untuned'").set_index("prompt_id")["verdict"]
    assert (one.map(swapped) == other[one.index]).all()


def test_oracle_scores_are_the_shared_utility_of_the_text(study):
    table = study.responses.sample(30, random_state=0)
    scores = oracle.scores(table)
    assert scores.index.equals(table.index)
    for index, row in table.iterrows():
        prompt = prompt_from_json(row["prompt"])
        assert scores[index] == world_oracle.shared_utility(prompt, row["response"], row["finished"])
    unfinished = oracle.scores(table.assign(finished=False))
    assert (unfinished <= scores).all()
    assert (unfinished < scores).any()


def test_win_rates_are_shares_of_valid_verdicts_with_errors_apart(params):
    scores = {("more", 0): [1, 1, 1, 0, -1, np.nan], "sft": [0] * 6, "untuned": [0] * 6}
    table, values = responses_of(scores, 6, lambda number: "helpful" if number < 4 else "harmless")
    rates = judging.win_rates(judging.judge_policies(params, table, values), STATS)
    assert tables.check(rates, "win_rates").equals(rates)
    mine = rates[(rates["policy"] == "more0") & (rates["opponent"] == "sft")].set_index("source")
    assert mine.loc["all", ["win", "tie", "lose", "net"]].tolist() == pytest.approx([0.6, 0.2, 0.2, 0.4])
    assert mine.loc["helpful", ["win", "tie", "lose"]].tolist() == pytest.approx([0.75, 0.25, 0])
    assert mine.loc["harmless", ["n_prompts", "n_invalid"]].tolist() == [1, 1]
    assert mine.index.tolist() == ["all", "helpful", "harmless"]


def test_a_policy_without_a_valid_verdict_is_named(params):
    table, values = responses_of({("more", 0): [np.nan] * 2, "sft": [0, 0], "untuned": [0, 0]}, 2)
    with pytest.raises(ValueError, match="more0: none of 2"):
        judging.win_rates(judging.judge_policies(params, table, values), STATS)


def test_net_interval_has_the_width_of_the_normal_one(params):
    rng = np.random.default_rng(0)
    scores = {("more", 0): rng.integers(-1, 2, 600), "sft": [0] * 600, "untuned": [0] * 600}
    table, values = responses_of(scores, 600)
    rates = judging.win_rates(judging.judge_policies(params, table, values), STATS)
    row = rates[(rates["policy"] == "more0") & (rates["opponent"] == "sft") & (rates["source"] == "all")].iloc[0]
    error = np.std(scores["more", 0]) / np.sqrt(600)
    assert row["net_high"] - row["net_low"] == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert row["net_low"] < row["net"] < row["net_high"]


def test_scheme_duels_average_seeds_and_meet_only_their_own_seed(params):
    zero = [0.0] * 4
    scores = {
        ("multitask", 0): zero, ("multitask", 1): [5.0] * 4, ("more", 0): [1, 1, 0, 0], ("more", 1): [5, 6, 5, 4],
        ("more", 2): [9.0] * 4, "sft": zero, "untuned": zero,
    }  # fmt: skip
    table, values = responses_of(scores, 4, lambda number: "helpful" if number < 2 else "harmless")
    duels = judging.scheme_duels(params, table, values).set_index("source")
    assert duels["n_seeds"].unique().tolist() == [2]
    assert duels.loc["all", ["win", "tie", "lose"]].tolist() == pytest.approx([3 / 8, 4 / 8, 1 / 8])
    assert duels.loc["all", "net"] == pytest.approx(2 / 8)
    assert duels.loc["helpful", "net"] == pytest.approx(3 / 4)
    assert duels.loc["harmless", "net"] == pytest.approx(-1 / 4)
    assert duels["against"].unique().tolist() == ["multitask"]


def test_copies_of_a_seed_do_not_narrow_the_duels_interval(params):
    """Seeds of a prompt are kept together: more of the same seed is no more evidence."""
    rng = np.random.default_rng(0)
    more = rng.integers(-1, 2, 200).tolist()
    widths = []
    for n_seeds in (1, 4):
        scores = {("multitask", seed): [0] * 200 for seed in range(n_seeds)}
        scores |= {("more", seed): more for seed in range(n_seeds)} | {"sft": [0] * 200, "untuned": [0] * 200}
        duel = judging.scheme_duels(params, *responses_of(scores, 200)).iloc[0]
        widths.append(duel["net_high"] - duel["net_low"])
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] > 0.1


def test_without_multitask_there_is_no_duel(params):
    table, values = responses_of({("more", 0): [1], "sft": [0], "untuned": [0]}, 1)
    duels = judging.scheme_duels(params, table, values)
    assert duels.empty
    assert tables.check(duels, "scheme_duels").equals(duels)


def test_the_study_orders_policies_as_their_picks(study):
    """Chosen by true utility beats chance, on new prompts, by the exact judge."""
    scores = oracle.scores(study.responses)
    utility = scores.groupby(study.responses["policy"]).mean()
    assert utility["oracle_choice"] > utility["random_choice"]
    duels = judging.scheme_duels(study.params, study.responses, scores)
    assert set(duels["scheme"]) == {"more"}
    assert tables.check(duels, "scheme_duels").equals(duels)


def test_responses_that_do_not_fit_are_refused(params):
    table, values = responses_of({("more", 0): [1, 2], "sft": [0, 0], "untuned": [0, 0]}, 2)
    with pytest.raises(ValueError, match="5 scores for 6 responses"):
        judging.judge_policies(params, table, values.iloc[1:])
    with pytest.raises(ValueError, match="no responses of the opponent 'sft'"):
        judging.judge_policies(params, table[table["policy"] != "sft"], values[table["policy"] != "sft"])
    with pytest.raises(ValueError, match="more0: 1 responses to 2 prompts"):
        judging.judge_policies(params, table.iloc[1:], values.iloc[1:])
