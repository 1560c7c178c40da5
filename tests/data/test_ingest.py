import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.data import mixing
from more_repro.data.ingest import ingest
from more_repro.files.rows import InputError
from more_repro.params import Params, Source, load_params
from more_repro.paths import Paths
from more_repro.records import SPLITS, prompt_from_json
from more_repro.rendering import render_text
from more_repro.stats.random import stream

ROOT = Path(__file__).parents[2]
AUDIT_TABLES = (
    "audit", "audit_sources", "audit_files", "audit_examples", "near_duplicates", "near_duplicate_examples"
)  # fmt: skip


def own_source(reader="text_score", **values):
    empty = {"location": None, "revision": None, "subset": None, "train": None, "test": None, "licence": None}
    return Source(reader=reader, **(empty | values))


def with_sources(params: Params, sources: dict[str, Source], **data) -> Params:
    regimes = {"balanced": params.regimes["balanced"].model_copy(update={"unique_pairs": {}})}
    changed = {"sources": sources, "regimes": regimes, "data": params.data.model_copy(update=data)}
    return params.model_copy(update=changed)


@pytest.fixture(scope="module")
def tiny():
    return load_params(ROOT / "params" / "tiny.yaml")


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    paths = Paths("tiny", tmp_path_factory.mktemp("root"))
    return paths, ingest.ingest(tiny, paths), mixing.mix_all(tiny, paths)


def pairs_at(paths, source, split):
    return tables.read(paths.pairs(source, split), "pairs")


def write_texts(path, rows):
    talk = "## Human:\n{}\n\n## Assistant:\n{}"
    items = [{"text": [talk.format(p, a), talk.format(p, b)], "score": [x, y]} for p, a, b, x, y in rows]
    path.write_text(json.dumps(items), encoding="utf-8")


def test_the_embedded_world_fills_every_split(tiny, made):
    paths, result, _ = made
    asked = (tiny.data.train_pairs, tiny.data.validation_pairs, tiny.data.test_pairs)
    for source in tiny.sources:
        frames = [pairs_at(paths, source, split) for split in SPLITS]
        assert tuple(len(frame) for frame in frames) == asked
        assert all(frame["true_preference"].between(0, 1).all() for frame in frames)
    assert len(tables.read(paths.corpus, "corpus")) == tiny.data.corpus_texts
    assert set(result) == {*AUDIT_TABLES, "examples"}
    assert list(result["examples"]["source"]) == list(tiny.sources)
    assert set(result["audit_sources"]["origin"]) == {"embedded world"}
    for name in AUDIT_TABLES:
        assert tables.read(paths.table("ingest", name), name).equals(result[name])
    assert result["audit_files"].empty, "the world has no files"


def test_no_prompt_of_a_split_stands_in_another_split_of_any_source(tiny, made):
    paths, _, _ = made
    prompts = [
        set(pd.concat([pairs_at(paths, source, split) for source in tiny.sources])["prompt_id"]) for split in SPLITS
    ]
    assert not prompts[0] & prompts[1] | prompts[0] & prompts[2] | prompts[1] & prompts[2]


def test_two_runs_write_the_same_bytes(tiny, made, tmp_path):
    paths, _, _ = made
    again = Paths("tiny", tmp_path)
    ingest.ingest(tiny, again)
    mixing.mix_all(tiny, again)
    files = sorted(path.relative_to(paths.root) for path in paths.root.rglob("*.parquet"))
    assert len(files) == 15 + 1 + len(AUDIT_TABLES) + 2 + 2 * len(tiny.seeds)
    for file in files:
        assert (tmp_path / file).read_bytes() == (paths.root / file).read_bytes()


def test_leaving_a_source_out_changes_no_other(tiny, made, tmp_path):
    paths, _, _ = made
    fewer = {name: source for name, source in tiny.sources.items() if name != "oasst1"}
    other = Paths("tiny", tmp_path)
    ingest.ingest(with_sources(tiny, fewer), other)
    mixing.mix_all(with_sources(tiny, fewer), other)
    for source in fewer:
        for split in SPLITS:
            assert pairs_at(other, source, split).equals(pairs_at(paths, source, split))


def test_mixtures_hold_n_rows_of_each_source_and_never_another_ones(tiny, made):
    paths, _, summary = made
    for regime, settings in tiny.regimes.items():
        mixture = tables.read(paths.mixture(regime, 0), "mixture")
        for source, rows in mixture.groupby("source"):
            own = set(pairs_at(paths, source, "train")["pair_id"])
            assert len(rows) == tiny.data.pairs_per_source
            assert set(rows["pair_id"]) <= own
            most = settings.unique_pairs.get(source, tiny.data.pairs_per_source)
            assert rows["pair_id"].nunique() == min(most, tiny.data.pairs_per_source)
    table = summary["mixture_summary"].set_index(["regime", "source"])
    assert table.loc[("resampled", "webgpt"), "mean_passes"] == 8.0


def test_a_seed_draws_its_own_pairs_in_its_own_order(tiny, made):
    paths, _, _ = made
    first, second = (tables.read(paths.mixture("resampled", seed), "mixture") for seed in tiny.seeds[:2])
    of = {name: [set(m.loc[m["source"] == name, "pair_id"]) for m in (first, second)] for name in ("webgpt", "helpful")}
    assert of["webgpt"][0] != of["webgpt"][1]
    assert [len(ids) for ids in of["webgpt"]] == [16, 16]
    assert not first["pair_id"].equals(second["pair_id"])


def test_regimes_share_the_order_of_a_source_that_they_treat_alike(tiny, made):
    paths, _, _ = made
    mixtures = [
        tables.read(paths.mixture(regime, 0), "mixture").query("source == 'helpful'") for regime in tiny.regimes
    ]
    assert mixtures[0].equals(mixtures[1])


@pytest.fixture
def files(tiny, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    train = [(f"question {n}", f"good {n}", f"bad {n}", 1, 0) for n in range(60)]
    train += [train[0], ("question 1", "bad 1", "good 1", 1, 0), ("tie", "a", "b", 1, 1), ("empty", "", "b", 1, 0)]
    train += [("same", "a", "a", 1, 0), ("test 0", "a", "b", 1, 0)]
    write_texts(folder / "train.json", train)
    write_texts(folder / "test.json", [(f"test {n}", "good", "bad", 0, 1) for n in range(30)])
    sources = {"mine": own_source(train="train.json", test="test.json", licence="CC0-1.0")}
    return with_sources(tiny, sources, folder=str(folder), train_pairs=40, validation_pairs=50, test_pairs=20)


def test_every_read_pair_of_a_file_is_kept_or_counted_once(files, tmp_path):
    result = ingest.ingest(files, Paths("own", tmp_path))
    audit = result["audit"].set_index(["split", "reason"])["n_pairs"]
    expected = {"read": 66, "kept": 40, "contradictory": 2, "duplicate": 1, "empty": 1, "identical": 1, "leaked": 1}
    expected |= {"tie": 1, "to_validation": 11, "over_cap": 8}
    assert dict(audit["train"]) == expected
    assert dict(audit["validation"]) == {"read": 11, "kept": 11}
    assert dict(audit["test"]) == {"read": 30, "kept": 20, "over_cap": 10}
    row = result["audit_sources"].iloc[0]
    assert (row["origin"], row["licence"], len(row["sha256"])) == ("train.json, test.json", "CC0-1.0", 64)


@pytest.mark.parametrize("seed", range(3))
def test_every_comparison_of_every_source_is_kept_or_dropped_once(files, seed, tmp_path):
    """What was read is counted here from the files, and what was kept from the pairs on disk: not from the audit."""
    rng, folder, n_read = np.random.default_rng(seed), Path(files.data.folder), {}
    for name in ("one", "two", "three"):
        for split, size in (("train", 150), ("test", 25)):
            # Few prompts and texts: every reason occurs, and sources share prompts.
            prompts, texts = rng.integers(0, 120, size), rng.choice(["", "a", "b", "c", "d"], (size, 2))
            scores = rng.integers(0, 3, (size, 2)).tolist()
            rows = [(f"q{p}", x, y, *s) for p, (x, y), s in zip(prompts, texts, scores, strict=True)]
            write_texts(folder / f"{name}.{split}.json", rows)
            n_read[name, split] = size
    sources = {n: own_source(train=f"{n}.train.json", test=f"{n}.test.json") for n in ("one", "two")}
    sources["three"] = own_source(reader="auto", train="three.train.json")
    params = with_sources(files, sources, train_pairs=30, validation_pairs=8, test_pairs=6)
    paths = Paths("own", tmp_path)
    audit = ingest.ingest(params, paths)["audit"].set_index(["source", "split", "reason"])["n_pairs"].sort_index()
    assert {"tie", "empty", "identical", "leaked", "in_validation", "over_cap"} <= set(audit.index.levels[2])
    for name, split in ((name, split) for name in sources for split in SPLITS):
        counts = audit[name, split]
        kept = len(pairs_at(paths, name, split))
        assert counts["kept"] == kept
        moved_here = audit.get((name, "train", f"to_{split}"), 0)
        read = n_read[name, split] if split in ("train", "test") and (name, split) != ("three", "test") else moved_here
        assert read == kept + counts.drop(["read", "kept"]).sum() == counts["read"]


def test_files_and_examples_of_each_reason_are_reported(files, tmp_path):
    result = ingest.ingest(files, Paths("own", tmp_path))
    row = result["audit_files"].set_index("split").loc["train"]
    content = (Path(files.data.folder) / "train.json").read_bytes()
    assert (row["file"], row["container"], row["n_rows"], row["bytes"]) == ("train.json", "JSON list", 66, len(content))
    assert row["format"].startswith("text-score")
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    shown = result["audit_examples"].query("split == 'train'")
    reasons = {"contradictory": 2, "duplicate": 1, "empty": 1, "identical": 1, "leaked": 1, "tie": 1}
    assert shown["reason"].value_counts().to_dict() == reasons
    assert shown.set_index("reason").loc["leaked", "prompt"] == "test 0"
    assert shown.set_index("reason").loc["empty", "place"] == "train.json row 64", "named from data.folder"


def test_unreadable_rows_are_counted_up_to_the_allowance(files, tmp_path):
    path = Path(files.data.folder) / "train.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, {"text": "none", "score": 3}]))
    with pytest.raises(InputError, match="row 67"):
        ingest.ingest(files, Paths("own", tmp_path))
    lenient = with_sources(files, files.sources, unreadable_rows=1)
    result = ingest.ingest(lenient, Paths("own", tmp_path))
    audit = result["audit"].set_index(["split", "reason"])["n_pairs"]["train"]
    assert (audit["read"], audit["unreadable"], audit.drop("read").sum()) == (67, 1, 67)
    assert "row 67" in result["audit_examples"].set_index("reason").loc["unreadable", "place"]


def test_one_in_a_hundred_planted_copies_of_test_prompts_are_all_found_as_leaked(files, tmp_path):
    rng = np.random.default_rng(3)
    folder = Path(files.data.folder)
    planted = rng.choice(1000, size=10, replace=False)
    for name, first in (("mine", 0), ("yours", 500)):  # half of them stand in the other source's test set
        texts = [f"prompt {name} {n}" for n in range(1000)]
        for place, test in zip(planted, range(first, first + 10), strict=True):
            texts[place] = f"test {test % 20 + 20 * (place % 2)}"
        write_texts(folder / f"{name}.json", [(text, f"good {n}", "bad", 1, 0) for n, text in enumerate(texts)])
    write_texts(folder / "mine.test.json", [(f"test {n}", "good", "bad", 0, 1) for n in range(20)])
    write_texts(folder / "yours.test.json", [(f"test {n}", "good", "bad", 0, 1) for n in range(20, 40)])
    sources = {name: own_source(train=f"{name}.json", test=f"{name}.test.json") for name in ("mine", "yours")}
    params = with_sources(files, sources, train_pairs=None, test_pairs=None, pairs_per_source=50)
    paths = Paths("own", tmp_path)
    audit = ingest.ingest(params, paths)["audit"].set_index(["source", "split", "reason"])["n_pairs"]
    for name in sources:
        assert audit[name, "train", "leaked"] == 10
        left = pairs_at(paths, name, "train")["prompt"]
        assert not left.str.contains("test ").any()


def test_a_source_may_have_its_own_cap_of_test_pairs(files, tmp_path):
    sources = {"mine": files.sources["mine"].model_copy(update={"test_pairs": 7})}
    audit = ingest.ingest(with_sources(files, sources), Paths("own", tmp_path))["audit"]
    counts = audit.set_index(["split", "reason"])["n_pairs"]["test"]
    assert dict(counts) == {"read": 30, "kept": 7, "over_cap": 23}


@pytest.mark.slow
def test_large_sources_are_read_by_workers_to_the_same_bytes(files, tmp_path, monkeypatch):
    folder = Path(files.data.folder)
    write_texts(folder / "other.json", [(f"more {n}", "x", "y", 1, 0) for n in range(80)])
    params = with_sources(files, files.sources | {"other": own_source(reader="auto", train="other.json")})
    ingest.ingest(params, Paths("here", tmp_path))
    monkeypatch.setattr(ingest, "_LARGE_BYTES", 0)
    ingest.ingest(params, Paths("workers", tmp_path))
    made = [sorted(Paths(name, tmp_path).data.rglob("*.parquet")) for name in ("here", "workers")]
    assert len(made[0]) == len(made[1]) == 6 + 1 + len(AUDIT_TABLES)
    assert [path.read_bytes() for path in made[0]] == [path.read_bytes() for path in made[1]]


def test_the_digest_follows_the_kept_pairs(files, tmp_path):
    first = ingest.ingest(files, Paths("a", tmp_path))["audit_sources"]["sha256"][0]
    changed = files.model_copy(update={"data": files.data.model_copy(update={"seed": 9})})
    assert ingest.ingest(changed, Paths("b", tmp_path))["audit_sources"]["sha256"][0] != first


def test_the_corpus_of_files_is_what_training_pairs_say(files, tmp_path):
    paths = Paths("own", tmp_path)
    ingest.ingest(files, paths)
    texts = tables.read(paths.corpus, "corpus")["text"]
    assert len(texts) == 80
    assert texts.is_unique
    assert texts.str.fullmatch(r"## Human:\nquestion \d+\n\n## Assistant:\n(good|bad) \d+").all()
    pairs = pairs_at(paths, "mine", "train")
    said = {
        render_text(prompt_from_json(row.prompt), t) for row in pairs.itertuples() for t in (row.chosen, row.rejected)
    }
    assert set(texts) == said


def test_a_source_without_a_test_part_gives_some_prompts_to_it(files, tmp_path):
    sources = {"mine": files.sources["mine"].model_copy(update={"test": None})}
    for test_pairs, size in ((5, 5), (None, 3)):
        params = with_sources(files, sources, test_pairs=test_pairs)
        paths = Paths(f"own{size}", tmp_path)
        audit = ingest.ingest(params, paths)["audit"].set_index(["split", "reason"])["n_pairs"]
        assert audit["train", "to_test"] == audit["test", "kept"] == size
        prompts = [set(pairs_at(paths, "mine", split)["prompt_id"]) for split in SPLITS]
        assert not prompts[0] & prompts[1] | prompts[0] & prompts[2] | prompts[1] & prompts[2]


def test_a_prompt_that_another_source_tests_leaks_too(files, tmp_path):
    folder = Path(files.data.folder)
    write_texts(folder / "other.json", [(f"question {n}", "x", "y", 1, 0) for n in range(50, 60)])
    sources = files.sources | {"other": own_source(train="train.json", test="other.json")}
    audit = ingest.ingest(with_sources(files, sources, train_pairs=None), Paths("own", tmp_path))["audit"]
    leaked = audit.query("source == 'mine' and split == 'train' and reason == 'leaked'")["n_pairs"]
    assert list(leaked) == [11]


def test_a_source_that_keeps_nothing_is_an_error(files, tmp_path):
    write_texts(Path(files.data.folder) / "test.json", [("p", "a", "a", 1, 0)])
    with pytest.raises(InputError, match=r"source 'mine': field 'test': .*identical"):
        ingest.ingest(files, Paths("own", tmp_path))


def test_streams_follow_seed_and_names():
    draws = {
        key: stream(*key).integers(2**62) for key in [(1, "a"), (1, "b"), (2, "a"), (1, "a", "b"), (1, "ab"), (-1, "a")]
    }
    assert len(set(draws.values())) == len(draws)
    assert stream(1, "a").integers(2**62) == draws[1, "a"]


def test_a_source_too_small_for_its_splits_is_told_how_many_pairs_it_needs(files, tmp_path):
    write_texts(Path(files.data.folder) / "few.json", [(f"question {n}", "x", "y", 1, 0) for n in range(4)])
    for test_pairs, needed in ((None, "at least 20 pairs, of which 5%"), (3, "at least 5 pairs, of which 20%")):
        few = with_sources(files, {"few": own_source(train="few.json")}, test_pairs=test_pairs)
        with pytest.raises(InputError, match=rf"source 'few': field 'test': found {{'left': 4, .*{needed}"):
            ingest.ingest(few, Paths("own", tmp_path))
