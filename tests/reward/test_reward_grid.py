import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_study import tiny_params, write_study

from more_repro import tables
from more_repro.engine.batching.token_pairs import encode_sequences
from more_repro.engine.model import load_reward_model, score
from more_repro.lm import base_files
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.reward import derived_schemes, grid, held_out_judge, scoring
from more_repro.schemes import ENSEMBLES
from more_repro.workers import function_named
from renamed import renamed, renamed_params


def in_process(function, jobs, label, preload=()):
    return [function_named(function)(job) for job in jobs]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Params, Paths, dict]:
    patch = pytest.MonkeyPatch()
    for module in (grid, scoring):
        patch.setattr(module, "run_jobs", in_process)
    params, paths = write_study(tmp_path_factory.mktemp("study"))
    outputs = {scheme: grid.train_all(params, paths, "nano", scheme) for scheme in params.schemes}
    outputs["scores"] = scoring.score_base(params, paths, "nano")
    yield params, paths, outputs
    patch.undo()


def test_a_process_that_only_hands_out_jobs_needs_no_torch():
    modules = ("grid", "scoring", "torchrun", "held_out_judge", "jobs")
    code = f"import sys, {', '.join(f'more_repro.reward.{name}' for name in modules)}; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def test_grid_is_read_from_the_params():
    params = tiny_params()
    ids = grid.model_ids(params, "nano")
    assert len(ids) == len(set(ids)) == 3 * 2 + 2 * 2 * 2  # single per source; multitask and more with first2
    assert RewardModelId("nano", "resampled", "more", "first2", 1) in ids
    assert RewardModelId("nano", "resampled", "single", "harmless", 0) in ids
    no_sweep = params.model_copy(
        update={"rm": params.rm.model_copy(update={"sweep": params.rm.sweep.model_copy(update={"bases": ()})})}
    )
    assert {model.trained_on for model in grid.model_ids(no_sweep, "nano")} == {"mixture", *params.sources}


def test_sweep_of_all_sources_is_the_mixture_itself():
    params = tiny_params()
    sweep = params.rm.sweep.model_copy(update={"counts": (2, 3, 4)})
    params = params.model_copy(update={"rm": params.rm.model_copy(update={"sweep": sweep})})
    assert grid.sweep_counts(params, "nano", "more") == [2]


def test_every_model_of_the_grid_is_written(trained):
    params, paths, _ = trained
    for model in grid.model_ids(params, "nano"):
        path = paths.reward_model(*(getattr(model, name) for name in MODEL_KEY))
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= {file.name for file in path.iterdir()}


def test_logs_and_summaries_fit_their_schemas(trained):
    params, paths, outputs = trained
    for scheme in params.schemes:
        log = outputs[scheme]["training_log"]
        assert tables.read(paths.training_log("nano", scheme), "training_log").equals(log)
        assert np.allclose(log.groupby([*MODEL_KEY, "step"])["lambda"].sum(), 1, atol=1e-6)
        summary = tables.check(outputs[scheme]["training_summary"], "training_summary")
        assert set(summary["n_steps"]) == {6}
        n_sources = log.groupby(list(MODEL_KEY), sort=False)["source"].nunique()
        assert summary["n_pairs"].tolist() == (6 * 4 * n_sources).tolist()
        assert summary["padding_share"].between(0, 0.6).all()
    more = outputs["more"]["training_log"]
    assert more["lambda"].std() > 0.01


def test_seeds_differ_in_the_head_alone_at_the_start(trained):
    _, _, outputs = trained
    log = outputs["multitask"]["training_log"].query("trained_on == 'mixture' and step == 1")
    assert log.groupby("seed")["loss"].first().nunique() == 2


def test_scores_hold_every_model_and_pair_once(trained):
    _, paths, outputs = trained
    scores = tables.check(outputs["scores"], "scores")
    assert scores.equals(tables.read(paths.scores("nano"), "scores"))
    assert not scores.duplicated([*MODEL_KEY, "split", "pair_id"]).any()
    counts = scores.groupby(["scheme", "trained_on", "split"]).size()
    full = {"validation": 3 * 7, "test": 3 * 9}
    for split, n in full.items():
        assert counts["multitask", "mixture", split] == 2 * n
        for derived_scheme in ("averaging", *ENSEMBLES):
            assert counts[derived_scheme, "mixture", split] == 2 * n
        assert counts["raw", "none", split] == 2 * n
        assert counts["single", "helpful", split] == 2 * n
        assert counts["length", "none", split] == n
    assert counts["more", "first2", "test"] == 2 * 2 * 9
    assert ("more", "first2", "validation") not in counts.index


def test_scores_equal_the_models_own_rewards(trained):
    _, paths, outputs = trained
    model = RewardModelId("nano", "resampled", "more", "mixture", 1)
    path = paths.reward_model(*(getattr(model, name) for name in MODEL_KEY))
    from more_repro.lm.bases import load_tokenizer
    from more_repro.reward.token_store import read_pairs

    pairs = read_pairs(paths.pairs("oasst1", "test"))
    sequences, rows, _ = encode_sequences(
        [pair.prompt for pair in pairs], [pair.chosen for pair in pairs], load_tokenizer(paths.base("nano")), 64
    )
    expected = score(load_reward_model(path), sequences)[rows].numpy()
    found = outputs["scores"].query(
        "scheme == 'more' and trained_on == 'mixture' and seed == 1 and source == 'oasst1' and split == 'test'"
    )
    assert found["pair_id"].tolist() == [pair.pair_id for pair in pairs]
    assert np.allclose(found["reward_chosen"], expected, atol=1e-5)


def test_averaging_is_the_mean_of_the_single_models(trained):
    _, _, outputs = trained
    scores = outputs["scores"]
    key = ["regime", "seed", "split", "pair_id"]
    single = scores.query("scheme == 'single'").groupby(key)["reward_rejected"].mean()
    averaging = scores.query("scheme == 'averaging'").set_index(key)["reward_rejected"]
    assert np.allclose(averaging, single.loc[averaging.index])


def test_best_of_models_are_each_named_once_and_singles_are_refused():
    params = tiny_params()
    schemes = ("more", "raw", "averaging", "ensemble_minimum", "length")
    align = params.align.model_copy(
        update={"schemes": schemes, "best_of": params.align.best_of.model_copy(update={"schemes": schemes})}
    )
    params = params.model_copy(
        update={"align": align, "regimes": params.regimes | {"other": params.regimes["resampled"]}}
    )
    found = grid.best_of_models(params)
    assert found == grid.aligned_models(params)
    assert len(found) == len(set(found)) == 3 * 2 * 2 + 2 + 1  # mixture by regime and seed; raw by seed; one length
    assert RewardModelId("nano", "none", "raw", "none", 1) in found
    assert RewardModelId("nano", "other", "ensemble_minimum", "mixture", 1) in found
    assert found.count(grid.LENGTH_RULE) == 1
    single = params.model_copy(update={"align": align.model_copy(update={"schemes": ("single",)})})
    with pytest.raises(ValueError, match=r"align.schemes names 'single', which is one model for each source"):
        grid.aligned_models(single)


def test_ensembles_in_the_scores_are_made_of_standardised_single_models(trained):
    _, _, outputs = trained
    scores = outputs["scores"].query("seed == 1 and regime == 'resampled'")
    single = scores.query("scheme == 'single'").pivot(
        index=["split", "pair_id"], columns="trained_on", values=["reward_chosen", "reward_rejected"]
    )
    both = np.concatenate([single.loc["validation"][side].to_numpy() for side in ("reward_chosen", "reward_rejected")])
    standard = (single["reward_chosen"] - both.mean(axis=0)) / both.std(axis=0)
    found = scores.query("scheme == 'ensemble_minimum'").set_index(["split", "pair_id"])["reward_chosen"]
    assert np.allclose(found, standard.min(axis=1).loc[found.index] * both.std(axis=0).mean())
    # Every source gives the same number of pairs here.
    found = scores.query("scheme == 'ensemble_weighted'").set_index(["split", "pair_id"])["reward_chosen"]
    assert np.allclose(found, standard.mean(axis=1).loc[found.index] * both.std(axis=0).mean())


def test_samples_of_an_ensemble_need_the_scores_of_its_base(trained):
    _, paths, _ = trained
    with pytest.raises(tables.TableError, match="scores"):
        derived_schemes.read_validation(Paths(paths.profile, paths.root / "elsewhere"), ["nano"], "single")
    of = derived_schemes.read_validation(paths, ["nano"], "single")
    with pytest.raises(ValueError, match="no validation rewards of nano/resampled/single/helpful/seed7"):
        of(RewardModelId("nano", "resampled", "single", "helpful", 7))


def test_length_counts_words(trained):
    _, paths, outputs = trained
    row = outputs["scores"].query("scheme == 'length' and split == 'test' and source == 'helpful'").iloc[0]
    pair = tables.read(paths.pairs("helpful", "test"), "pairs").iloc[0]
    assert row["reward_chosen"] == len(pair["chosen"].split())
    assert (row["base"], row["regime"], row["trained_on"], row["seed"]) == ("none", "none", "none", 0)


def test_raw_differs_by_seed_and_is_not_trained(trained):
    _, _, outputs = trained
    raw = outputs["scores"].query("scheme == 'raw'")
    assert set(raw["regime"]) == {"none"}
    assert raw.groupby("seed")["reward_chosen"].mean().nunique() == 2


def test_without_single_models_there_is_no_averaging(trained):
    params, _, _ = trained
    schemes = {name: scheme for name, scheme in params.schemes.items() if name != "single"}
    fewer = params.model_copy(update={"schemes": schemes})
    assert derived_schemes.derived_models(fewer, "nano") == []
    with pytest.raises(ValueError, match=r"params\.schemes trains none \(trained_on: each\)"):
        derived_schemes.members(fewer, RewardModelId("nano", "resampled", "averaging", "mixture", 0))


def test_samples_score_as_pairs_do(trained):
    params, paths, outputs = trained
    pairs = tables.read(paths.pairs("harmless", "test"), "pairs")
    samples = pairs.assign(response=pairs["chosen"], number=range(len(pairs)))
    models = [
        RewardModelId("nano", "resampled", "more", "mixture", 0),
        RewardModelId("nano", "none", "raw", "none", 1),
        RewardModelId("nano", "resampled", "averaging", "mixture", 0),
        RewardModelId("nano", "resampled", "ensemble_weighted", "mixture", 1),
        RewardModelId("nano", "resampled", "ensemble_minimum", "mixture", 0),
        RewardModelId("nano", "resampled", "ensemble_cautious", "mixture", 1),
        grid.LENGTH_RULE,
    ]
    found = scoring.score_samples(params, paths, models, samples)
    assert list(found.columns) == [*MODEL_KEY, "prompt_id", "number", "reward"]
    assert len(found) == len(models) * len(pairs)
    scores = outputs["scores"].query("source == 'harmless' and split == 'test'")
    for model in models:
        mine = found[(found["scheme"] == model.scheme) & (found["seed"] == model.seed)]["reward"]
        same = (scores["scheme"] == model.scheme) & (scores["seed"] == model.seed)
        theirs = scores[same & (scores["trained_on"] == model.trained_on)]["reward_chosen"]
        assert np.allclose(mine, theirs, atol=1e-5)
    assert scoring.score_samples(params, paths, [], samples).empty


def test_the_judge_takes_the_base_with_the_most_parameters(tmp_path):
    params = tiny_params()
    params = params.model_copy(update={"bases": dict.fromkeys(("a", "b", "c"), params.bases["nano"])})
    paths = Paths("tiny", tmp_path)
    for sizes, largest in (((3, 9, 5), "b"), ((9, 3, 9), "c"), ((1, 1, 1), "c")):
        for base, size in zip(params.bases, sizes, strict=True):
            paths.base(base).mkdir(parents=True, exist_ok=True)
            base_files.write_pointer(paths.base(base), "hub", "x/y", "main", n_parameters=size)
        assert held_out_judge.largest_base(params, paths) == largest


def test_renamed_schemes_are_derived_from_all_the_same(trained):
    params, paths, outputs = trained
    other = renamed_params(params)
    assert derived_schemes.derived_models(other, "nano") == derived_schemes.derived_models(params, "nano")
    for model in derived_schemes.derived_models(other, "nano"):
        assert [member.scheme for member in derived_schemes.members(other, model)] == ["per_source"] * 3
    elsewhere = Paths(paths.profile, paths.root / "renamed")
    tables.write(renamed(outputs["scores"]), elsewhere.scores("nano"), "scores")
    one = derived_schemes.read_validation(paths, ["nano"], params.roles.single)
    two = derived_schemes.read_validation(elsewhere, ["nano"], other.roles.single)
    member, again = (RewardModelId("nano", "resampled", name, "helpful", 0) for name in ("single", "per_source"))
    assert np.array_equal(one(member), two(again))


def test_held_out_model_trains_on_validation_pairs_and_scores(trained):
    params, paths, _ = trained
    log = held_out_judge.train_held_out(params, paths)
    assert log["step"].max() == params.judge.steps
    assert {path.parent.name for path in held_out_judge._job(params, paths).pairs} == set(params.sources)
    assert {path.name for path in held_out_judge._job(params, paths).pairs} == {"validation.parquet"}
    pairs = tables.read(paths.pairs("helpful", "test"), "pairs")
    responses = pairs.assign(response=pairs["chosen"]).set_index(pairs.index + 100)
    scores = held_out_judge.score_responses(params, paths, responses)
    assert scores.index.equals(responses.index)
    assert scores.nunique() > 1


def test_too_few_pairs_for_a_step_are_an_error(trained):
    params, paths, _ = trained
    large = params.model_copy(update={"rm": params.rm.model_copy(update={"pairs_per_source_per_batch": 100})})
    with pytest.raises(ValueError, match="gives 24 pairs"):
        grid.jobs(large, paths, "nano", "more")


def test_encoded_file_is_made_again_when_damaged(trained):
    from more_repro.reward.jobs import EncodeJob
    from more_repro.reward.token_store import encoded_pairs, ensure_encoded

    _, paths, _ = trained
    job = EncodeJob(paths.base("nano"), paths.pairs("helpful", "test"), 64, paths.scratch)
    before = encoded_pairs(job)
    file = ensure_encoded(job)
    whole = file.read_bytes()
    file.unlink()
    file.write_bytes(whole[: len(whole) // 2])
    after = encoded_pairs(job)
    assert torch.equal(before.sequences.flat, after.sequences.flat)
    assert before.pair_ids == after.pair_ids


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_number_of_workers_does_not_change_a_bit(trained, tmp_path, monkeypatch, workers):
    monkeypatch.undo()
    monkeypatch.setenv("MORE_REPRO_WORKERS", workers)
    from more_repro.workers import run_jobs

    monkeypatch.setattr(grid, "run_jobs", run_jobs)
    params, paths, outputs = trained
    other = Paths(paths.profile, tmp_path)
    for kind in ("bases", "pairs", "mixtures"):
        (tmp_path / "data" / paths.profile).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / paths.profile / kind).symlink_to((paths.data / kind).resolve(), target_is_directory=True)
    found = grid.train_all(params, other, "nano", "more")
    assert found["training_log"].equals(outputs["more"]["training_log"])
    for model, name in itertools.product(grid.scheme_model_ids(params, "nano", "more"), ("model.safetensors",)):
        key = [getattr(model, part) for part in MODEL_KEY]
        ours, theirs = (load_file(Path(where.reward_model(*key)) / name) for where in (paths, other))
        assert all(torch.equal(ours[tensor], theirs[tensor]) for tensor in ours)
