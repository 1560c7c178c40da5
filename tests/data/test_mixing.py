import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.data import mixing
from more_repro.data.ingest.ingest import ingest
from more_repro.params import load_params
from more_repro.paths import Paths
from more_repro.schemes import TrainedOn
from more_repro.tables import read

IDS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=30, unique=True)
SEEDS = st.integers(0, 2**32)
TINY = load_params(Path(__file__).parents[2] / "params" / "tiny.yaml").data


@st.composite
def studies(draw):
    """pair_ids of some sources, pairs that some keep only, N, and the data's own seed."""
    sizes = draw(st.lists(st.integers(1, 25), min_size=1, max_size=5))
    ids = {f"s{k}": [f"s{k}-{n}" for n in range(size)] for k, size in enumerate(sizes)}
    unique = {name: draw(st.integers(1, 30)) for name in ids if draw(st.booleans())}
    data = TINY.model_copy(update={"pairs_per_source": draw(st.integers(1, 60)), "seed": draw(SEEDS)})
    return ids, unique, data


@given(ids=IDS, size=st.integers(0, 120), seed=SEEDS)
def test_resample_gives_exactly_n_of_its_own_pairs_evenly(ids, size, seed):
    mixed = mixing.resample(ids, size, np.random.default_rng(seed))
    assert list(mixed["position"]) == list(range(size))
    counts = Counter(mixed["pair_id"])
    assert set(counts) <= set(ids)
    assert {counts[pair] for pair in ids} <= {size // len(ids), -(-size // len(ids))}


@given(ids=IDS, size=st.integers(1, 120), seed=SEEDS)
def test_whole_passes_come_first(ids, size, seed):
    mixed = mixing.resample(ids, size, np.random.default_rng(seed))
    for number, rows in mixed.groupby("pass_number"):
        assert rows["pair_id"].is_unique
        assert len(rows) == len(ids) or number == mixed["pass_number"].max()
    assert mixed["pass_number"].is_monotonic_increasing


@given(ids=IDS, size=st.integers(0, 60), seed=SEEDS)
def test_same_seed_same_rows(ids, size, seed):
    first, again = (mixing.resample(ids, size, np.random.default_rng(seed)) for _ in range(2))
    assert first.equals(again)


@given(ids=IDS, seed=SEEDS, data=st.data())
def test_smaller_unique_sets_begin_larger_ones(ids, seed, data):
    small, large = sorted(data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40))))
    chosen = [mixing.choose_unique(ids, most, np.random.default_rng(seed)) for most in (small, large, None)]
    assert chosen[1][: len(chosen[0])] == chosen[0]
    assert chosen[2][: len(chosen[1])] == chosen[1]
    assert sorted(chosen[2]) == sorted(ids)
    assert len(chosen[0]) == min(small, len(ids))


def test_pinned_order():
    mixed = mixing.resample(["a", "b", "c"], 7, np.random.default_rng(0))
    assert list(mixed["pass_number"]) == [0, 0, 0, 1, 1, 1, 2]
    assert "".join(mixed["pair_id"]) == "cabcbac"


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="from 0 pairs"):
        mixing.resample([], 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="there twice"):
        mixing.choose_unique(["a", "a"], None, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(study=studies(), seed=SEEDS)
def test_a_mixture_holds_exactly_n_rows_of_each_source_all_its_own(study, seed):
    ids, unique, data = study
    mixture = mixing.mix(ids, unique, data, seed)
    assert list(mixture["source"]) == [name for name in ids for _ in range(data.pairs_per_source)]
    for name, rows in mixture.groupby("source"):
        assert set(rows["pair_id"]) <= set(ids[name])
        kept = min(len(ids[name]), unique.get(name, len(ids[name])))
        assert rows["pair_id"].nunique() == min(kept, data.pairs_per_source)
        counts = rows["pair_id"].value_counts()
        assert counts.max() - counts.min() <= 1
    assert mixture.equals(mixing.mix(ids, unique, data, seed))


@settings(max_examples=40, deadline=None)
@given(study=studies(), seed=SEEDS)
def test_a_source_is_drawn_alike_whatever_stands_beside_it(study, seed):
    ids, unique, data = study
    whole = mixing.mix(ids, unique, data, seed)
    for name in ids:
        alone = mixing.mix({name: ids[name]}, unique, data, seed)
        assert whole[whole["source"] == name].reset_index(drop=True).equals(alone)


@settings(max_examples=40, deadline=None)
@given(study=studies(), seed=SEEDS)
def test_the_first_k_sources_are_nested_and_are_the_mixture_of_those_sources(study, seed):
    ids, unique, data = study
    mixture = mixing.mix(ids, unique, data, seed)
    before = mixture.head(0)
    for k in range(1, len(ids) + 1):
        rows = mixture.head(k * data.pairs_per_source)
        assert rows.head(len(before)).equals(before) or before.empty
        fewer = {name: ids[name] for name in list(ids)[:k]}
        assert rows.equals(mixing.mix(fewer, unique, data, seed))
        before = rows
    assert before.equals(mixture)


@settings(max_examples=40, deadline=None)
@given(study=studies(), seed=SEEDS)
def test_the_manifest_has_a_line_for_every_k_with_the_digest_of_its_pairs(study, seed):
    ids, unique, data = study
    mixture = mixing.mix(ids, unique, data, seed)
    lines = mixing.manifest(mixture)
    assert [line[0] for line in lines] == ([1] if len(ids) == 1 else list(range(2, len(ids) + 1)))
    for k, sources, n_pairs, n_unique, digest in lines:
        rows = mixture.head(k * data.pairs_per_source)
        assert sources == ", ".join(list(ids)[:k])
        assert (n_pairs, n_unique) == (len(rows), rows["pair_id"].nunique())
        assert digest == hashlib.sha256("\n".join(rows["pair_id"]).encode()).hexdigest()


def test_another_seed_or_order_has_another_digest():
    ids = {"a": [f"a{n}" for n in range(40)], "b": [f"b{n}" for n in range(40)]}
    digests = {mixing.manifest(mixing.mix(ids, {}, TINY, seed))[-1][-1] for seed in range(5)}
    assert len(digests) == 5
    turned = mixing.mix({"b": ids["b"], "a": ids["a"]}, {}, TINY, 0)
    assert mixing.manifest(turned)[-1][-1] not in digests


@pytest.mark.parametrize("kept", [{}, {"a": 10}])
def test_the_seed_of_the_data_draws_other_pairs_and_another_order(kept):
    """Where a source keeps all of its pairs too: the order alone is then drawn."""
    ids = {"a": [f"a{n}" for n in range(40)]}
    drawn = [
        mixing.mix(ids, kept, TINY.model_copy(update={"seed": seed, "pairs_per_source": 40}), 0) for seed in (1, 2)
    ]
    assert not drawn[0]["pair_id"].equals(drawn[1]["pair_id"])
    assert (set(drawn[0]["pair_id"]) == set(drawn[1]["pair_id"])) == (not kept)


def test_pinned_mixture():
    """The choice and the order come from two streams, each of the data's seed, the source and the seed of the run."""
    data = TINY.model_copy(update={"seed": 1, "pairs_per_source": 8})
    mixed = mixing.mix({"a": [f"a{n}" for n in range(12)]}, {"a": 5}, data, 0)
    assert " ".join(mixed["pair_id"]) == "a0 a10 a6 a7 a1 a1 a6 a7"


@pytest.mark.slow  # imports torch
def test_training_on_the_first_k_sources_takes_the_same_rows(tmp_path):
    from more_repro.reward import grid

    params, paths = load_params(Path(__file__).parents[2] / "params" / "tiny.yaml"), Paths("tiny", tmp_path)
    ingest(params, paths)
    made = mixing.mix_all(params, paths)["mixture_manifest"]
    seen = 0
    for job in grid.jobs(params, paths, next(iter(params.bases)), "multitask"):
        model = job.model
        k = len(TrainedOn.parse(model.trained_on).sources(tuple(params.sources)))
        mixture = read(paths.mixture(model.regime, model.seed), "mixture")
        rows = mixture.head(k * params.data.pairs_per_source)
        pair_ids = [pair_id for source in job.rows for pair_id in source]
        assert pair_ids == list(rows["pair_id"])
        line = made[(made["regime"] == model.regime) & (made["seed"] == model.seed) & (made["k"] == k)].iloc[0]
        assert line["sha256"] == hashlib.sha256("\n".join(pair_ids).encode()).hexdigest()
        seen += model.trained_on.startswith("first")
    assert seen
