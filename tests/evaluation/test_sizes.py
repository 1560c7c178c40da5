"""Sizes of the tests by simulation where seeds share a scheme and pairs share a prompt: 2,000 null studies each."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from more_repro.evaluation.comparisons.resampling import Pool, swap_draws
from more_repro.evaluation.metrics import ece
from more_repro.evaluation.metrics.clustered_null import spread_by_prompt
from more_repro.evaluation.metrics.scored_models import Pairs
from more_repro.evaluation.regression import fixed_effects
from more_repro.evaluation.regression.permutation import (
    block_permutations,
    freedman_lane,
    group_permutations,
)
from more_repro.evaluation.regression.regression import cells


def studies(common, runs, n_groups=3, n_schemes=5, n_seeds=3):
    """(y, x, group, scheme, seed) of studies without an effect; .8 of the spread belongs to schemes, and of that the
    share `common` is the same in all groups."""
    group, scheme, seed = (part.ravel() for part in np.indices((n_groups, n_schemes, n_seeds)))
    rng = np.random.default_rng(0)

    def drawn():
        own = rng.standard_normal(n_groups * n_schemes)[group * n_schemes + scheme]
        shared = rng.standard_normal(n_schemes)[scheme]
        both = np.sqrt(common) * shared + np.sqrt(1 - common) * own
        return np.sqrt(0.8) * both + np.sqrt(0.2) * rng.standard_normal(group.size)

    for _ in range(runs):
        yield fixed_effects.demeaned(drawn(), np.column_stack([drawn(), rng.standard_normal(group.size)]), group), (
            group, scheme, seed,
        )  # fmt: skip


def rejections(common, runs, alike):
    """Shares of p at or below .05: blocks, rows; and of clustered intervals that miss 0."""
    hits, orders = np.zeros(3), None
    rng = np.random.default_rng(1)
    for data, (group, scheme, seed) in studies(common, runs):
        if orders is None:
            blocks = group * 5 + scheme
            places = (group * 0, scheme, group * 3 + seed) if alike else (group, blocks, seed)
            orders = block_permutations(*places, 399, rng), group_permutations(group, 399, rng)
        limits = fixed_effects.clustered(data, 0, blocks, 0.95)
        found = [freedman_lane(data, 0, *one) <= 0.05 for one in orders]
        hits += [*found, not limits.low <= 0 <= limits.high]
    return hits / runs


@pytest.mark.parametrize(("common", "alike"), [(0.0, False), (0.6, True)])
@pytest.mark.slow
def test_block_permutation_has_its_size_where_seeds_share_their_scheme(common, alike):
    blocks, rows, limits = rejections(common, 2000, alike)
    assert 0.04 <= blocks <= 0.06
    assert rows > 0.15
    if not alike:
        assert limits < 0.09  # few clusters


def test_blocks_are_quickly_seen_to_hold_where_rows_do_not():
    blocks, rows, _ = rejections(0.0, 300, False)
    assert blocks < 0.1 < rows


def test_blocks_move_whole_and_seeds_keep_their_place():
    group = np.repeat([0, 1], 6)
    scheme = np.tile(np.repeat([0, 1, 2], 2), 2)
    seed = np.tile([0, 1], 6)
    orders, exact = block_permutations(group, group * 3 + scheme, seed, 1000, np.random.default_rng(0))
    assert exact
    assert len(np.unique(orders, axis=0)) == 36
    assert (np.sort(orders, axis=1) == np.arange(12)).all()
    for codes in (group, seed):
        assert (codes[orders] == codes).all()
    moved = scheme[orders].reshape(36, 6, 2)
    assert (moved[..., 0] == moved[..., 1]).all()
    alike, _ = block_permutations(group * 0, scheme, group * 2 + seed, 1000, np.random.default_rng(0))
    assert len(alike) == 6
    assert (scheme[alike][:, :6] == scheme[alike][:, 6:]).all()


def test_a_scheme_that_lacks_a_seed_stays_and_nothing_to_move_has_no_p():
    group, seed = np.zeros(5, dtype=int), np.array([0, 1, 0, 1, 0])
    scheme = np.array([0, 0, 1, 1, 2])
    orders, _ = block_permutations(group, scheme, seed, 100, np.random.default_rng(0))
    assert len(orders) == 2
    assert (orders[:, 4] == 4).all()
    still, exact = block_permutations(group[2:], scheme[2:], seed[2:], 100, np.random.default_rng(0))
    data = fixed_effects.demeaned(np.array([1.0, 2.0, 4.0]), np.array([[1.0], [0.0], [3.0]]), list("aaa"))
    assert np.isnan(freedman_lane(data, 0, still, exact))


def test_rows_without_schemes_or_seeds_are_their_own_blocks():
    import pandas as pd

    groups, blocks, seeds = cells(pd.DataFrame({"group": list("aabb"), "scheme": ["m", "n", "m", "n"]}))
    assert groups.tolist() == [0, 0, 1, 1]
    assert len(set(blocks)) == 4
    assert set(seeds) == {0}


def prompt_p(runs, n_prompts, per_prompt, correlation, by_prompt, draws=199):
    """Share of ece_p at or below .05 over calibrated models whose labels of one prompt go together."""
    prompts, hits = np.repeat(np.arange(n_prompts), per_prompt), 0
    for number in range(runs):
        rng = np.random.default_rng(number)
        size = np.abs(0.8 * (0.4 + rng.standard_normal(prompts.size)))
        common, own = rng.standard_normal(n_prompts)[prompts], rng.standard_normal(prompts.size)
        right = ndtr(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own) < expit(size)
        margins = np.where(right, size, -size)
        gaps = ece.null_gaps(margins, 10, draws, rng)
        band = ece.null_ece(spread_by_prompt(gaps, margins, prompts) if by_prompt else gaps, prompts.size)
        hits += (1 + (band >= ece.ece_of(margins, 10) - 1e-12).sum()) / (1 + draws) <= 0.05
    return hits / runs


@pytest.mark.slow
def test_null_band_has_its_size_with_one_pair_and_with_several_to_a_prompt():
    assert 0.04 <= prompt_p(2000, 600, 1, 0.0, True) <= 0.06
    assert 0.04 <= prompt_p(2000, 200, 4, 0.4, True) <= 0.065
    assert prompt_p(2000, 200, 4, 0.4, False) > 0.08


def test_one_pair_to_a_prompt_changes_no_bit_and_copies_double_the_spread():
    rng = np.random.default_rng(0)
    margins = 0.8 * (0.4 + rng.standard_normal(500))
    gaps = ece.null_gaps(margins, 10, 4000, rng)
    assert spread_by_prompt(gaps, margins, rng.permutation(500)) is gaps
    twice, prompts = np.tile(margins, 2), np.tile(np.arange(500), 2)
    spread = spread_by_prompt(ece.null_gaps(twice, 10, 4000, rng), twice, prompts)
    # Each pair twice: gaps twice as large as those of the pairs once.
    np.testing.assert_allclose(spread[:, 5:9].std(axis=0), 2 * gaps[:, 5:9].std(axis=0), rtol=0.12)


@pytest.mark.slow
def test_swap_test_has_its_size_over_two_thousand_exchangeable_pairs(stats):
    few, hits = stats.model_copy(update={"null_draws": 199}), 0
    nothing, prompts = np.full(400, np.nan), np.arange(400) // 2
    for number in range(2000):
        rng = np.random.default_rng(number)
        common = rng.standard_normal(400)
        a, b = (0.8 * (0.4 + 0.8 * common + 0.6 * rng.standard_normal(400)) for _ in range(2))
        pool = Pool.of([(n, Pairs(m, np.arange(400), prompts, nothing, nothing)) for n, m in (("a", a), ("b", b))])
        null = swap_draws(pool, [(0, 1)], few, rng)[:, 0]
        hits += (1 + (np.abs(null) >= abs(ece.ece_of(a, 10) - ece.ece_of(b, 10)) - 1e-12).sum()) / 200 <= 0.05
    assert 0.04 <= hits / 2000 <= 0.06
