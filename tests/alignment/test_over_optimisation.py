"""Best-of-n against n: equal to counting every subset, and to simulation; scale and order of rewards do not count."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro import tables
from more_repro.alignment.judging import over_optimisation
from more_repro.alignment.sampling import best_of_n_expectation
from more_repro.params import Stats

STATS = Stats(seed=0, bins=10, null_draws=10, bootstrap_draws=400, permutation_draws=10, confidence=0.95)
few = settings(max_examples=25, deadline=None)


def samples_of(n_prompts: int, size: int, sources=("helpful",)) -> pd.DataFrame:
    rows = [
        (f"p{p}", sources[p % len(sources)], "[]", number, "text", 1, True, "{}")
        for p in range(n_prompts)
        for number in range(size + 1)
    ]
    return pd.DataFrame(rows, columns=list(tables.SCHEMAS["samples"]))


def rewards_of(samples: pd.DataFrame, values: np.ndarray, scheme: str = "more", seed: int = 0) -> pd.DataFrame:
    key = {"base": "b", "regime": "r", "scheme": scheme, "trained_on": "mixture", "seed": seed}
    return samples[["prompt_id", "number"]].assign(**key, reward=np.ravel(values))


def study(n_prompts: int = 60, size: int = 5, seed: int = 0, noise: float = 1.0, n_seeds: int = 1):
    """Samples, the judge's scores, and rewards that are those scores and noise."""
    rng = np.random.default_rng(seed)
    samples = samples_of(n_prompts, size, ("helpful", "harmless"))
    gold = pd.Series(rng.normal(size=len(samples)), index=samples.index)
    rewards = [rewards_of(samples, gold + noise * rng.normal(size=len(gold)), seed=s) for s in range(n_seeds)]
    return pd.concat(rewards, ignore_index=True), samples, gold


def made(rewards, samples, gold, tie_width=1e-9, stats=STATS, name="best_of_n"):
    return over_optimisation.best_of_n_tables(rewards, samples, gold, tie_width, stats)[name]


def curve(table: pd.DataFrame, column: str, choice: str, source: str = "all", scheme: str | None = None) -> np.ndarray:
    rows = table[(table["choice"] == choice) & (table["source"] == source)]
    rows = rows if scheme is None else rows[rows["scheme"] == scheme]
    return rows.sort_values("n")[column].to_numpy()


@few
@given(st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), min_size=1, max_size=4))
def test_a_choice_share_is_that_of_all_subsets(grid):
    rewards = np.array(grid, dtype=float)
    shares = best_of_n_expectation.choice_shares(rewards)
    for prompt, row in enumerate(rewards):
        for n in range(1, 6):
            expected = np.zeros(5)
            every = list(itertools.combinations(range(5), n))
            for subset in every:
                best = [place for place in subset if row[place] == max(row[list(subset)])]
                expected[best] += 1 / len(best) / len(every)
            assert np.allclose(shares[prompt, :, n - 1], expected)


def test_curves_are_means_over_every_subset_of_candidates():
    rewards, samples, gold = study(n_prompts=7, size=4, seed=3)
    table = made(rewards, samples, gold, tie_width=0.3)
    value, reward = gold.to_numpy().reshape(7, 5), rewards["reward"].to_numpy().reshape(7, 5)
    for n in range(1, 5):
        chosen, wins, ties = [], [], []
        for prompt in range(7):
            for subset in itertools.combinations(range(1, 5), n):
                best = max(subset, key=lambda number, p=prompt: reward[p, number])
                chosen.append(value[prompt, best])
                wins.append(value[prompt, best] - value[prompt, 0] > 0.3)
                ties.append(abs(value[prompt, best] - value[prompt, 0]) <= 0.3)
        assert curve(table, "gold", "best")[n - 1] == pytest.approx(np.mean(chosen))
        assert curve(table, "win", "best")[n - 1] == pytest.approx(np.mean(wins))
        assert curve(table, "tie", "best")[n - 1] == pytest.approx(np.mean(ties))
        assert curve(table, "net", "best")[n - 1] == pytest.approx(2 * np.mean(wins) + np.mean(ties) - 1)


def test_one_candidate_leaves_no_choice():
    table = made(*study())
    for column in ("gold", "win", "tie", "lose", "net", "net_low", "net_high"):
        first = {choice: curve(table, column, choice)[0] for choice in ("best", "worst", "random", "oracle")}
        assert np.allclose(list(first.values()), first["random"])
    assert np.ptp(curve(table, "gold", "random")) == pytest.approx(0)


def test_the_oracle_rises_with_n_and_no_choice_is_above_it():
    table = made(*study(noise=2.0))
    oracle = curve(table, "gold", "oracle")
    assert (np.diff(oracle) > 0).all()
    assert (np.diff(curve(table, "net", "oracle")) > 0).all()
    for choice in ("best", "worst", "random"):
        assert (curve(table, "gold", choice) <= oracle + 1e-12).all()


@few
@given(st.sampled_from([lambda r: 4 * r - 7, np.exp, lambda r: r**3]), st.integers(0, 99))
def test_a_rescaled_reward_model_gives_the_same_rows(transform, seed):
    rewards, samples, gold = study(n_prompts=6, size=4, seed=seed)
    other = made(rewards.assign(reward=transform(rewards["reward"])), samples, gold)
    pd.testing.assert_frame_equal(made(rewards, samples, gold), other)


def test_worst_is_best_of_the_opposite_rewards():
    rewards, samples, gold = study()
    turned = made(rewards.assign(reward=-rewards["reward"]), samples, gold)
    assert np.allclose(curve(made(rewards, samples, gold), "net", "worst"), curve(turned, "net", "best"))


def test_the_order_of_rows_and_of_candidates_changes_nothing():
    rewards, samples, gold = study(n_prompts=8)
    rewards = rewards.assign(reward=rewards["reward"].round())  # many equal ones
    numbers = {0: 0, 1: 3, 2: 1, 3: 5, 4: 2, 5: 4}
    mixed = rewards.assign(number=rewards["number"].map(numbers)).sample(frac=1, random_state=0)
    renamed = samples.assign(number=samples["number"].map(numbers))
    first, other = made(rewards, samples, gold), made(mixed, renamed, gold)
    pd.testing.assert_frame_equal(first, other)


def test_equal_rewards_choose_by_chance():
    rewards, samples, gold = study()
    table = made(rewards.assign(reward=1.0), samples, gold)
    assert np.allclose(curve(table, "net", "best"), curve(table, "net", "random"))


def test_kl_bound_is_the_formula_and_zero_without_a_choice():
    table = made(*study())
    bound = curve(table, "kl_bound_nats", "best")
    assert bound[0] == 0
    assert bound == pytest.approx([np.log(n) - (n - 1) / n for n in range(1, 6)])
    assert best_of_n_expectation.kl_bound_nats(np.array([16])) == pytest.approx([np.log(16) - 15 / 16])


def test_curves_equal_a_simulation_of_choices():
    rewards, samples, gold = study(n_prompts=40, size=8, seed=5)
    value, reward = gold.to_numpy().reshape(40, 9)[:, 1:], rewards["reward"].to_numpy().reshape(40, 9)[:, 1:]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3000):
        drawn = rng.permuted(np.tile(np.arange(8), (40, 1)), axis=1)[:, :3]
        best = np.take_along_axis(drawn, np.take_along_axis(reward, drawn, 1).argmax(1, keepdims=True), 1)
        found.append(np.take_along_axis(value, best, 1).mean())
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - curve(made(rewards, samples, gold), "gold", "best")[2]) < 4 * error


def test_every_model_choice_source_and_n_stands_once():
    rewards, samples, gold = study(n_seeds=2)
    found = over_optimisation.best_of_n_tables(rewards, samples, gold, 1e-9, STATS)
    table = found["best_of_n"]
    assert len(table) == (2 * 2 + 2) * 3 * 5
    assert not table.duplicated([*over_optimisation._KEY, "choice", "source", "n"]).any()
    counts = table.groupby("source")["n_prompts"].unique()
    assert {source: list(n) for source, n in counts.items()} == {"all": [60], "harmless": [30], "helpful": [30]}
    assert np.allclose(table["win"] + table["tie"] + table["lose"], 1)
    assert set(table.loc[table["choice"] == "random", "scheme"]) == {"random_choice"}
    assert set(table.loc[table["choice"] == "oracle", "base"]) == {"none"}
    schemes = found["best_of_n_schemes"]
    assert len(schemes) == (2 + 2) * 3 * 5
    means = table[table["choice"] == "best"].groupby(["source", "n"])["net"].mean()
    ours = schemes[schemes["choice"] == "best"].set_index(["source", "n"])["net"]
    assert np.allclose(ours.loc[means.index], means)
    assert set(schemes.loc[schemes["choice"] == "best", "n_seeds"]) == {2}


def test_one_seed_has_the_interval_over_prompts_alone():
    found = over_optimisation.best_of_n_tables(*study(), 1e-9, STATS)
    one, mean = found["best_of_n"], found["best_of_n_schemes"]
    for column in ("gold_low", "gold_high", "net_low", "net_high"):
        assert np.array_equal(curve(one, column, "best"), curve(mean, column, "best"))


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(2)
    samples = samples_of(200, 4)
    gold = pd.Series(rng.normal(size=len(samples)), index=samples.index)
    noise = [rng.normal(size=len(gold)) for _ in range(3)]
    alike = pd.concat([rewards_of(samples, gold + noise[0], seed=s) for s in range(3)], ignore_index=True)
    apart = pd.concat(
        [rewards_of(samples, sign * gold + noise[s], seed=s) for s, sign in enumerate((1, 0, -1))], ignore_index=True
    )
    width = {}
    for name, rewards in (("alike", alike), ("apart", apart)):
        table = made(rewards, samples, gold, name="best_of_n_schemes")
        width[name] = (curve(table, "net_high", "best") - curve(table, "net_low", "best"))[-1]
    assert width["apart"] > 5 * width["alike"]


@pytest.mark.slow
def test_the_interval_over_prompts_and_seeds_covers_the_truth():
    """Models err by their own seed; the truth is the mean over seeds and prompts, known from a large study."""
    covered = 0
    for trial in range(100):
        rng = np.random.default_rng([7, trial])
        samples = samples_of(60, 4)
        gold = pd.Series(rng.normal(size=len(samples)), index=samples.index)
        parts = []
        for seed in range(4):
            skill = 1 + rng.normal(0, 0.5)
            parts.append(rewards_of(samples, skill * gold + rng.normal(size=len(gold)), seed=seed))
        table = made(pd.concat(parts, ignore_index=True), samples, gold, name="best_of_n_schemes")
        low, high = curve(table, "gold_low", "best")[-1], curve(table, "gold_high", "best")[-1]
        covered += low <= _TRUTH <= high
    assert covered >= 90


def _truth() -> float:
    """E of the best of 4 by skill x gold + noise: E max of 4 normals times the mean correlation."""
    rng = np.random.default_rng(0)
    skill = 1 + rng.normal(0, 0.5, 10**6)
    return 1.02937 * float(np.mean(skill / np.sqrt(skill**2 + 1)))


_TRUTH = _truth()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, s, g: (r.iloc[1:].iloc[1:], s, g), "b/r/more/mixture/seed0: 299 rewards of candidates"),
        (lambda r, s, g: (r.assign(reward=np.nan), s, g), "0 of them finite"),
        (lambda r, s, g: (pd.concat([r, r.tail(1)]), s, g), "stand twice"),
        (lambda r, s, g: (r, s, g.mask(g.index == 8)), "prompt p1 number 2: the judge's score is nan"),
        (lambda r, s, g: (r, s.iloc[:-1], g.iloc[:-1]), "prompt p59 number 5: the judge's score is nan"),
        (lambda r, s, g: (r, s[s["number"] > 0], g[s["number"] > 0]), r"numbers \[1, 2, 3, 4, 5\]; expected 0"),
        (lambda r, s, g: (r, s, g.iloc[1:]), "299|359 scores of the judge"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        made(*change(*study()))
