import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_responses import STATS, scored_of

from more_repro import tables
from more_repro.alignment.judges import shared_utility
from more_repro.alignment.judges.by_kind import JUDGES, find_judge, make_judge
from more_repro.alignment.judges.errors import JudgeError
from more_repro.alignment.judges.judge import JudgeInputs, JudgeOfPairs, ScoringJudge
from more_repro.alignment.judging.judging import judge
from more_repro.alignment.judging.match_ups import comparisons
from more_repro.alignment.judging.scored import compare, scored_points, scored_verdicts
from more_repro.alignment.judging.win_rates import scheme_duels, win_rates
from more_repro.records import prompt_from_json
from more_repro.schemes import PAPER
from more_repro.world import oracle as world_oracle
from renamed import renamed

REFERENCE = PAPER.reference
numbers = st.floats(-10, 10)


def verdicts_of(params, table, scores):
    return scored_verdicts(comparisons(table, REFERENCE), scores, a_judge(params).tie_width(scores))


def a_judge(params):
    return make_judge(JudgeInputs(params, None, lambda rows: rows))


def verdict(params, score, opponent):
    return verdicts_of(params, *scored_of({("more", 0): [score], "sft": [opponent], "untuned": [opponent]}, 1)).loc[
        0, "verdict"
    ]


@given(numbers, numbers, st.sampled_from([1e-9, 0.5]))
def test_swapping_positions_swaps_the_verdict(first, second, width):
    there = compare(np.array([first]), np.array([second]), width)
    back = compare(np.array([second]), np.array([first]), width)
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
    table, values = scored_of(scores, 3)
    width = 0.05 * values.std()
    for factor in (1, 1000):  # the unit of a reward means nothing
        found = verdicts_of(params, table, values * factor)
        mine = found[(found["policy"] == "more0") & (found["opponent"] == "sft")]
        expected = ["tie" if score <= width else "win" for score in (0.2, 2.0, 5.0)]
        assert mine["verdict"].tolist() == expected
        assert "tie" in expected
    with pytest.raises(ValueError, match="at least two"):
        a_judge(params).tie_width(pd.Series([1.0]))


def test_every_policy_meets_both_opponents_but_not_itself(study):
    scores = shared_utility.scores(study.responses)
    verdicts = verdicts_of(study.params, study.responses, scores)
    assert tables.check(verdicts, "verdicts").equals(verdicts)
    met = verdicts.groupby("policy")["opponent"].unique().map(set).to_dict()
    assert met.pop("sft") == {"untuned"}
    assert met.pop("untuned") == {"sft"}
    assert all({"sft", "untuned"} <= opponents for opponents in met.values())
    rest = {policy: opponents - {"sft", "untuned"} for policy, opponents in met.items()}
    assert {policy: against for policy, against in rest.items() if against} == {
        f"nano/resampled/more/mixture/seed{seed}": {f"nano/resampled/multitask/mixture/seed{seed}"} for seed in (0, 1)
    }
    swapped = {"win": "lose", "lose": "win", "tie": "tie"}
    one = verdicts.query("policy == 'sft'").set_index("prompt_id")["verdict"]
    other = verdicts.query("policy == 'untuned'").set_index("prompt_id")["verdict"]
    assert (one.map(swapped) == other[one.index]).all()


def test_oracle_scores_are_the_shared_utility_of_the_text(study):
    table = study.responses.sample(30, random_state=0)
    scores = shared_utility.scores(table)
    assert scores.index.equals(table.index)
    for index, row in table.iterrows():
        prompt = prompt_from_json(row["prompt"])
        assert scores[index] == world_oracle.shared_utility(prompt, row["response"], row["finished"])
    unfinished = shared_utility.scores(table.assign(finished=False))
    assert (unfinished <= scores).all()
    assert (unfinished < scores).any()


def test_win_rates_are_shares_of_valid_verdicts_with_errors_apart(params):
    scores = {("more", 0): [1, 1, 1, 0, -1, np.nan], "sft": [0] * 6, "untuned": [0] * 6}
    table, values = scored_of(scores, 6, lambda number: "helpful" if number < 4 else "harmless")
    rates = win_rates(verdicts_of(params, table, values), STATS)
    assert tables.check(rates, "win_rates").equals(rates)
    mine = rates[(rates["policy"] == "more0") & (rates["opponent"] == "sft")].set_index("source")
    assert mine.loc["all", ["win", "tie", "lose", "net"]].tolist() == pytest.approx([0.6, 0.2, 0.2, 0.4])
    assert mine.loc["helpful", ["win", "tie", "lose"]].tolist() == pytest.approx([0.75, 0.25, 0])
    assert mine.loc["harmless", ["n_prompts", "n_invalid"]].tolist() == [1, 1]
    assert mine.index.tolist() == ["all", "helpful", "harmless"]


def test_a_policy_without_a_valid_verdict_is_named(params):
    table, values = scored_of({("more", 0): [np.nan] * 2, "sft": [0, 0], "untuned": [0, 0]}, 2)
    with pytest.raises(ValueError, match="more0: none of 2"):
        win_rates(verdicts_of(params, table, values), STATS)


def test_net_interval_has_the_width_of_the_normal_one(params):
    rng = np.random.default_rng(0)
    scores = {("more", 0): rng.integers(-1, 2, 600), "sft": [0] * 600, "untuned": [0] * 600}
    table, values = scored_of(scores, 600)
    rates = win_rates(verdicts_of(params, table, values), STATS)
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
    table, values = scored_of(scores, 4, lambda number: "helpful" if number < 2 else "harmless")
    duels = scheme_duels(verdicts_of(params, table, values), STATS, REFERENCE).set_index("source")
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
        duel = scheme_duels(verdicts_of(params, *scored_of(scores, 200)), STATS, REFERENCE).iloc[0]
        widths.append(duel["net_high"] - duel["net_low"])
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] > 0.1


def test_without_multitask_there_is_no_duel(params):
    table, values = scored_of({("more", 0): [1], "sft": [0], "untuned": [0]}, 1)
    duels = scheme_duels(verdicts_of(params, table, values), STATS, REFERENCE)
    assert duels.empty
    assert tables.check(duels, "scheme_duels").equals(duels)


def test_the_study_orders_policies_as_their_picks(study):
    """Chosen by true utility beats chance, on new prompts, by the exact judge."""
    scores = shared_utility.scores(study.responses)
    utility = scores.groupby(study.responses["policy"]).mean()
    assert utility["oracle_choice"] > utility["random_choice"]
    duels = scheme_duels(verdicts_of(study.params, study.responses, scores), STATS, REFERENCE)
    assert set(duels["scheme"]) == {"more"}
    assert tables.check(duels, "scheme_duels").equals(duels)


def test_responses_that_do_not_fit_are_refused(params):
    table, values = scored_of({("more", 0): [1, 2], "sft": [0, 0], "untuned": [0, 0]}, 2)
    with pytest.raises(ValueError, match="5 scores for 6 responses"):
        verdicts_of(params, table, values.iloc[1:])
    with pytest.raises(ValueError, match="no responses of the opponent 'sft'"):
        verdicts_of(params, table[table["policy"] != "sft"], values[table["policy"] != "sft"])
    with pytest.raises(ValueError, match="more0: 1 responses to 2 prompts"):
        verdicts_of(params, table.iloc[1:], values.iloc[1:])


def test_points_of_a_scoring_judge_are_all_meetings_and_mirror_each_other(params):
    table, scores = scored_of({("more", 0): [2, 0, np.nan], "sft": [1, 0, 0], "untuned": [1.0, 1, 1]}, 3)
    points = scored_points(comparisons(table, REFERENCE), scores, 1e-9)
    assert points.shape == (3, 3, 3)
    assert points[0, 0].tolist() == pytest.approx([np.nan, 1, 1], nan_ok=True)
    assert points[1, 0].tolist() == pytest.approx([np.nan, 0.5, 0], nan_ok=True)
    assert np.isnan(points[2, 0]).all()
    assert points + points.transpose(0, 2, 1) == pytest.approx(np.where(np.isnan(points), np.nan, 1), nan_ok=True)


def test_the_door_gives_every_part_of_a_scoring_judges_judgment(params, tmp_path):
    table, scores = scored_of(
        {("more", 0): [2.0] * 5, ("multitask", 0): [1.0] * 5, "sft": [1] * 5, "untuned": [0] * 5}, 5
    )
    judged = judge(with_held_out(params), None, table, lambda rows: scores[rows.index])
    assert judged.replies.empty
    assert judged.policies["policy"].tolist() == ["more0", "multitask0", "sft", "untuned"]
    assert judged.prompts["prompt_id"].tolist() == [f"p{number}" for number in range(5)]
    assert judged.points.shape == (5, 4, 4)
    assert judged.tie_width == pytest.approx(0.05 * scores.std())
    assert judged.score(table).equals(scores)
    shown = judged.statistics.set_index(["source", "statistic"])["estimate"]
    assert shown["all", "tie_identical"] == 1.0
    assert shown["all", "tie"] == pytest.approx(1 / 7), "multitask and sft"
    assert ("all", "longer") not in shown, "no two lengths differ"
    duel = scheme_duels(judged.verdicts, STATS, REFERENCE)
    assert duel["win"].tolist() == [1.0, 1.0]


def test_scores_that_are_missing_too_often_stop_the_stage(params):
    table, scores = scored_of({("more", 0): [np.nan] * 2 + [1.0] * 18, "sft": [0.0] * 20, "untuned": [0.0] * 20}, 20)
    params = with_held_out(params)
    assert judge(params, None, table, lambda rows: scores)
    scores[2] = np.nan
    with pytest.raises(JudgeError, match=r"6 of 80 verdicts are invalid \(7.5%\), judge.invalid_share allows 5.0%"):
        judge(params, None, table, lambda rows: scores)


def with_held_out(params):
    return params.model_copy(update={"judge": params.judge.model_copy(update={"kind": "held_out_reward_model"})})


@pytest.mark.parametrize("kind", JUDGES.names())
def test_every_judge_is_one_of_two_kinds_and_has_a_note_and_an_identity(params, kind):
    params = params.model_copy(update={"judge": params.judge.model_copy(update={"kind": kind})})
    judge = find_judge(kind)
    assert issubclass(judge, ScoringJudge) != issubclass(judge, JudgeOfPairs)
    assert judge.note.startswith("Judge: ")
    assert all(isinstance(value, str) for pair in judge.identity(params).items() for value in pair)
    methods = ("scores", "tie_width") if issubclass(judge, ScoringJudge) else ("answers",)
    assert all(name in vars(judge) for name in methods)


def test_the_judgment_says_who_judged_and_what_follows(params):
    table, scores = scored_of({("more", 0): [2.0] * 3, "sft": [1.0] * 3, "untuned": [0.0] * 3}, 3)
    said = judge(with_held_out(params), None, table, lambda rows: scores).judge
    (row,) = said.to_dict("records")
    assert row["kind"] == "held_out_reward_model"
    assert "what all of them overrate, it cannot see" in row["note"]


def test_duels_are_with_the_reference_whatever_it_is_called(params):
    scores = {("multitask", 0): [1.0, 0.0, 2.0], ("more", 0): [2.0, 1.0, 1.0], "sft": [0.0] * 3, "untuned": [0.0] * 3}
    table, values = scored_of(scores, 3)
    duels = scheme_duels(verdicts_of(params, table, values), STATS, REFERENCE)
    met = comparisons(renamed(table), "vanilla")
    again = scheme_duels(scored_verdicts(met, values, a_judge(params).tie_width(values)), STATS, "vanilla")
    assert len(duels)
    pd.testing.assert_frame_equal(renamed(duels), again, check_exact=True)
