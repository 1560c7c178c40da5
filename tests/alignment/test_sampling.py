import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.alignment.sampling import prompts_and_samples, sample_cache
from more_repro.lm import base_files, bases, generation
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import prompt_from_json, prompt_id, prompt_json
from more_repro.rendering import render_text
from more_repro.world import grammar

# Batches of a tenth of the prompts, so that a run can be killed between two of them.
SETTINGS = {"train_prompts": 40, "test_prompts": 30}


@dataclass(frozen=True)
class Place:
    params: Params
    paths: Paths
    samples: pd.DataFrame


def write_pairs(params, paths, rng):
    for source in params.align.sources:
        for split in ("train", "test"):
            pairs = grammar.make_pairs(source, 60, split, params.data.drift, rng)
            frame = pd.DataFrame(pairs).assign(
                prompt=[prompt_json(p.prompt) for p in pairs], prompt_id=[p.prompt_id for p in pairs],
                pair_id=[p.pair_id for p in pairs],
            )  # fmt: skip
            tables.write(frame, paths.pairs(source, split), "pairs")


@pytest.fixture(scope="module")
def place(params, tmp_path_factory):
    align = params.align.model_copy(update=SETTINGS)
    params = params.model_copy(update={"align": align})
    paths = Paths("tiny", tmp_path_factory.mktemp("place"))
    rng = np.random.default_rng(0)
    write_pairs(params, paths, rng)
    texts = [render_text(*row) for row in grammar.make_corpus(300, 1.0, rng)]
    shape = params.bases[align.policy].pretrain.model_copy(update={"steps": 60})
    settings = params.bases[align.policy].model_copy(update={"pretrain": shape})
    base = paths.base(align.policy)
    bases.make_base(align.policy, settings, texts, base, seed=1, max_length=params.rm.max_length)
    paths.policy.mkdir(parents=True)
    base_files.write_pointer(paths.policy, "hub", str(base), None, n_parameters=1)
    return Place(params, paths, prompts_and_samples.sample_policy(params, paths))


def changed(place, scratch=None, **changes):
    """The place with other align settings, and with a root of its own for what is drawn."""
    params = place.params.model_copy(update={"align": place.params.align.model_copy(update=changes)})
    if scratch is None:
        return params, place.paths
    scratch.joinpath("data").symlink_to(place.paths.root / "data")
    return params, Paths("tiny", scratch)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(prompts_and_samples, "generation_batch", lambda params: 16)


def test_each_prompt_has_n_numbered_samples(place):
    table, align = place.samples, place.params.align
    assert tables.check(table, "samples").equals(table)
    assert table["prompt_id"].nunique() == align.train_prompts
    numbers = table.groupby("prompt_id")["number"].apply(list)
    assert (numbers.map(lambda found: found == list(range(align.samples_per_prompt)))).all()
    assert table["source"].value_counts().nunique() == 1
    assert (table["n_tokens"] <= align.max_new_tokens).all()


def test_sampling_again_gives_the_same_table_and_loads_no_model(place, monkeypatch):
    monkeypatch.setattr(bases, "load_causal_lm", None)
    assert prompts_and_samples.sample_policy(place.params, place.paths).equals(place.samples)


def test_batch_size_and_order_of_prompts_change_nothing(place, tmp_path, small_batches):
    params, paths = changed(place, tmp_path)
    assert prompts_and_samples.sample_policy(params, paths).equals(place.samples)
    request = prompts_and_samples._request(params, paths, 4)
    prompts = place.samples["prompt"].drop_duplicates().tolist()
    forth = sample_cache.draw(request, prompts, tmp_path / "forth", "forth")
    back = sample_cache.draw(request, prompts[::-1], tmp_path / "back", "back")
    assert back[::-1] == forth


KILLED = """
import os, signal, sys
from pathlib import Path
from more_repro.alignment.sampling import prompts_and_samples
from more_repro.lm import generation
from more_repro.params import Params
from more_repro.paths import Paths

prompts_and_samples.generation_batch = lambda params: 16
generate, calls = generation.generate, []

def stopped(*arguments, **settings):
    calls.append(1)
    if len(calls) > 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return generate(*arguments, **settings)

generation.generate = stopped
params = Params.model_validate_json(Path(sys.argv[1]).read_text(), strict=False)
prompts_and_samples.sample_policy(params, Paths("tiny", Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_with_the_same_bytes(place, tmp_path, small_batches, monkeypatch, capsys):
    params, paths = changed(place, tmp_path)
    (tmp_path / "params.json").write_text(params.model_dump_json())
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "params.json"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    done = sorted((paths.scratch / "samples").glob("*/*.json"))
    assert len(done) == 3
    done[1].with_name(f".{done[1].name}.1.part").write_text("[[[")  # as a kill while writing leaves it
    calls, generate = [], generation.generate
    monkeypatch.setattr(generation, "generate", lambda *a, **k: calls.append(1) or generate(*a, **k))
    table = prompts_and_samples.sample_policy(params, paths)
    assert len(calls) == 10 - 3
    assert table.equals(place.samples)
    assert "samples 40/40 (100%)" in capsys.readouterr().err
    written = [tables.write(one, tmp_path / f"{name}.parquet", "samples") for name, one in
               (("resumed", table), ("whole", place.samples))]  # fmt: skip
    assert written[0].read_bytes() == written[1].read_bytes()


def test_a_batch_file_that_is_not_whole_is_drawn_again(place, tmp_path):
    params, paths = changed(place, tmp_path)
    first = prompts_and_samples.sample_policy(params, paths)
    (file,) = (paths.scratch / "samples").glob("*/000000.json")
    whole = file.read_bytes()
    for broken in (whole[:50], b"[]", b"\xff"):
        file.write_bytes(broken)
        assert prompts_and_samples.sample_policy(params, paths).equals(first)
        assert file.read_bytes() == whole


@pytest.mark.parametrize("changes", [{"temperature": 0.5}, {"max_new_tokens": 12}, {"samples_per_prompt": 2}])
def test_other_settings_share_no_batch(place, tmp_path, changes):
    params, paths = changed(place, tmp_path, **changes)
    prompts_and_samples.sample_policy(place.params, paths)
    prompts_and_samples.sample_policy(params, paths)
    assert len(list((paths.scratch / "samples").iterdir())) == 2


def test_another_policy_shares_no_batch(place, tmp_path):
    request = prompts_and_samples._request(place.params, place.paths, 4)
    first = sample_cache._digest(request, ["a"])
    assert sample_cache._digest(request, ["a", "b"]) != first
    base = place.paths.base(place.params.align.policy)
    assert sample_cache._digest(replace(request, policy=base), ["a"]) != first


def test_every_sample_says_what_it_was_drawn_with(place):
    (text,) = place.samples["settings"].unique()
    assert text == prompts_and_samples.generation_settings(place.params, place.paths)
    settings, align = json.loads(text), place.params.align
    assert set(settings) == {
        "sampler", "sampler_version", "torch_version", "precision", "temperature", "max_new_tokens",
        "max_prompt_tokens", "seed", "policy",
    }  # fmt: skip
    assert settings["policy"] == base_files.fingerprint(place.paths.policy)
    assert settings["max_prompt_tokens"] + settings["max_new_tokens"] == place.params.rm.max_length
    assert (settings["temperature"], settings["seed"]) == (align.temperature, place.params.data.seed)


def test_best_of_samples_are_of_the_first_test_prompts_and_one_more_than_n(place):
    table, best_of = prompts_and_samples.sample_best_of(place.params, place.paths), place.params.align.best_of
    wanted = prompts_and_samples.test_prompts(place.params, place.paths)["prompt_id"].head(best_of.prompts)
    assert table["prompt_id"].drop_duplicates().tolist() == wanted.tolist()
    assert (table.groupby("prompt_id")["number"].apply(list).map(lambda n: n == list(range(best_of.samples + 1)))).all()


def test_a_larger_n_keeps_the_samples_of_a_smaller(place, tmp_path):
    params, paths = changed(place, tmp_path, samples_per_prompt=7)
    more = prompts_and_samples.sample_policy(params, paths)
    kept = more[more["number"] < place.params.align.samples_per_prompt].reset_index(drop=True)
    assert kept.equals(place.samples)


def test_prompts_without_room_are_cut_on_the_left_and_counted(place, tmp_path, capsys):
    rm = place.params.rm.model_copy(update={"max_length": place.params.align.max_new_tokens + 6})
    params, paths = changed(place, tmp_path)
    params = params.model_copy(update={"rm": rm})
    table = prompts_and_samples.sample_policy(params, paths)
    tokenizer = bases.load_tokenizer(paths.policy)
    prompts = table.drop_duplicates("prompt_id")
    over = [
        len(ids) > 6 for ids in generation.encode_prompts(tokenizer, list(map(prompt_from_json, prompts["prompt"])))
    ]
    assert sum(over) > 0
    assert f"{sum(over)} of {len(prompts)} prompts have over 6 tokens" in capsys.readouterr().err
    counts = prompts_and_samples.sample_counts(params, paths, table).set_index("source")
    assert counts["n_cut_prompts"].to_dict() == prompts.assign(over=over).groupby("source")["over"].sum().to_dict()


def test_counts_are_of_responses_to_the_same_prompt(place):
    counts = prompts_and_samples.sample_counts(place.params, place.paths, place.samples)
    assert counts["n_prompts"].sum() == place.params.align.train_prompts
    for row in counts.itertuples():
        part = place.samples[place.samples["source"] == row.source]
        distinct = part.groupby("prompt_id")["response"].nunique().sum() / len(part)
        assert row.distinct_share == pytest.approx(distinct)
        assert row.finished_share == pytest.approx(part["finished"].mean())


def test_vllm_without_its_extra_is_an_error_that_names_it(place, tmp_path):
    params, paths = changed(place, tmp_path, sampler="vllm")
    with pytest.raises(ImportError, match="extra `vllm` on a machine with a GPU"):
        prompts_and_samples.sample_policy(params, paths)


def test_prompts_are_different_and_of_their_own_split(place):
    for split, prompts in (
        ("train", prompts_and_samples.train_prompts(place.params, place.paths)),
        ("test", prompts_and_samples.test_prompts(place.params, place.paths)),
    ):
        pairs = [tables.read(place.paths.pairs(source, split), "pairs") for source in place.params.align.sources]
        known = pd.concat(pairs)[["prompt_id", "source", "prompt"]].drop_duplicates()
        assert len(prompts.merge(known)) == len(prompts) == getattr(place.params.align, f"{split}_prompts")
        assert prompts["prompt_id"].is_unique
        assert [prompt_id(prompt_from_json(text)) for text in prompts["prompt"]] == prompts["prompt_id"].tolist()


def test_more_prompts_than_there_are_gives_all_of_them_once(place):
    params, paths = changed(place, train_prompts=10**6)
    pairs = pd.concat([tables.read(paths.pairs(s, "train"), "pairs") for s in params.align.sources])
    found = prompts_and_samples.train_prompts(params, paths)
    assert sorted(found["prompt_id"]) == sorted(pairs["prompt_id"].unique())


def test_a_prompt_of_two_sources_counts_once(place, tmp_path):
    paths = Paths("tiny", tmp_path)
    pairs = tables.read(place.paths.pairs("helpful", "test"), "pairs")
    for source in ("helpful", "harmless"):
        tables.write(pairs.assign(source=source), paths.pairs(source, "test"), "pairs")
    found = prompts_and_samples.test_prompts(place.params, paths)
    assert found["prompt_id"].is_unique
    assert set(found["source"]) == {"helpful", "harmless"}
