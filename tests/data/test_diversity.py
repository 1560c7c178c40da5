"""The stage as a whole: every table, the same bits at any number of workers, and sources that are alike or opposed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.data.diversity import measure_all
from more_repro.data.diversity.true_agreement import true_choices
from more_repro.data.ingest.pairs_table import pairs_frame
from more_repro.params import load_params
from more_repro.paths import Paths
from more_repro.records import Message, PreferencePair
from more_repro.world import grammar, oracle

ROOT = Path(__file__).parents[2]
NAMES = {"source_statistics", "transfer", "source_similarity", "word_divergence", "word_log_odds"}
SQUARES = (
    "prompt_overlap", "vocabulary_jaccard", "prompt_auc", "response_auc", "direction_cosine", "agreement", "conflict",
)  # fmt: skip
BETWEEN = ("direction_cosine_corrected", "shared_pairs", "shared_opposed")  # two different sources only
KEYS = ("source", "statistic", "word", "measure", "source_a", "source_b", "trained_on", "tested_on")
GOOD, BAD = ("kind", "clear", "true"), ("rude", "vague", "wrong")


def planted(name, seed, good=GOOD, bad=BAD, n=240, topic="tea"):
    """Pairs whose chosen response holds a good word and whose rejected one a bad word, among words of no meaning."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        filler = [" ".join(f"w{k}" for k in rng.integers(0, 30, 8)) for _ in range(2)]
        chosen, rejected = f"{filler[0]} {rng.choice(good)}", f"{filler[1]} {rng.choice(bad)}"
        prompt = (Message("user", f"{topic} question {name} {number} of w{rng.integers(30)}"),)
        rows.append(PreferencePair(name, prompt, chosen, rejected))
    return pairs_frame(rows)


def measure(root, sources, reader="trl"):
    """measure_all of tables `pairs` of each source, the first 160 pairs of which train."""
    params = load_params(ROOT / "params" / "tiny.yaml")
    known = next(iter(params.sources.values()))
    entries = {name: known.model_copy(update={"reader": reader, "subset": None}) for name in sources}
    paths = Paths("tiny", root)
    for name, pairs in sources.items():
        tables.write(pairs.iloc[:160], paths.pairs(name, "train"), "pairs")
        tables.write(pairs.iloc[160:], paths.pairs(name, "test"), "pairs")
    return measure_all.measure_all(params.model_copy(update={"sources": entries}), paths), paths


def value(result, measure_name, a, b):
    table = result["source_similarity"].set_index(["measure", "source_a", "source_b"])
    return table.loc[(measure_name, a, b)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    sources = {
        "first": planted("first", 1),
        "like": planted("like", 2),
        "opposed": planted("opposed", 3, good=BAD, bad=GOOD),
        "chance": planted("chance", 4, good=GOOD + BAD, bad=GOOD + BAD, topic="sea"),
    }
    result, paths = measure(tmp_path_factory.mktemp("root"), sources)
    return sources, result, paths


def test_every_table_is_written_and_complete(measured):
    sources, result, paths = measured
    assert set(result) == NAMES
    for name, table in result.items():
        assert tables.read(paths.table("diversity_statistics", name), name).equals(table)
    assert len(result["transfer"]) == len(sources) ** 2
    assert set(result["transfer"]["n"]) == {80} == set(result["transfer"]["n_prompts"])
    assert set(result["source_statistics"]["n_prompts"]) == {160}
    counts = result["source_similarity"].groupby("measure").size()
    assert dict(counts) == dict.fromkeys(SQUARES, 16) | dict.fromkeys(BETWEEN, 12)
    assert list(result["word_divergence"]["source"]) == list(sources)


def test_intervals_hold_their_estimates(measured):
    for name in ("source_statistics", "transfer", "source_similarity", "word_log_odds"):
        table = measured[1][name].rename(columns={"log_odds": "estimate"}).dropna()
        assert len(table) > 0
        assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()


def test_sources_that_prefer_the_same_agree_and_opposed_ones_conflict(measured):
    result = measured[1]
    assert value(result, "agreement", "first", "like")["estimate"] > 0.9
    assert value(result, "agreement", "first", "opposed")["estimate"] < 0.1
    assert value(result, "conflict", "first", "like")["high"] < 0.2
    assert value(result, "conflict", "first", "opposed")["estimate"] > 0.9
    assert value(result, "direction_cosine_corrected", "first", "like")["estimate"] == pytest.approx(1, abs=0.1)
    assert value(result, "direction_cosine_corrected", "first", "opposed")["estimate"] == pytest.approx(-1, abs=0.1)
    transfer = result["transfer"].set_index(["trained_on", "tested_on"])["estimate"]
    assert transfer["first", "like"] > 0.9
    assert transfer["first", "opposed"] < 0.1


def test_a_source_without_preference_has_no_corrected_cosine_and_no_divergence(measured):
    result = measured[1]
    assert np.isnan(value(result, "direction_cosine_corrected", "first", "chance")["estimate"])
    rows = result["word_divergence"].set_index("source")
    assert rows.loc["chance", "null_low"] <= rows.loc["chance", "divergence_bits"] <= rows.loc["chance", "null_high"]
    assert (rows.loc[["first", "like", "opposed"], "divergence_bits"] > rows["null_high"].max()).all()
    words = result["word_log_odds"]
    assert set(words.loc[words["z"].abs() > words["z_limit"], "word"]) == {*GOOD, *BAD}
    assert "chance" not in set(words.loc[words["z"].abs() > words["z_limit"], "source"])


def test_a_source_without_preference_agrees_with_itself_by_chance(measured):
    """Its two halves are fitted to different prompts; models of the same prompts would agree on everything."""
    row = value(measured[1], "agreement", "chance", "chance")
    assert row["low"] <= 0.5 <= row["high"]
    assert row["high"] < 0.8


def test_texts_of_like_sources_are_not_told_apart_and_those_of_other_topics_are(measured):
    result = measured[1]
    for pair in (("first", "first"), ("first", "opposed")):
        row = value(result, "response_auc", *pair)
        assert row["low"] <= 0.5 <= row["high"]
    assert value(result, "prompt_auc", "first", "chance")["low"] > 0.9
    assert value(result, "prompt_overlap", "first", "like")["estimate"] == 0


def test_equal_sources_share_every_prompt_and_are_told_apart_by_chance(tmp_path):
    pairs = planted("one", 1)
    result, _ = measure(tmp_path, {"one": pairs, "copy": pairs.assign(source="copy")})
    assert value(result, "prompt_overlap", "one", "copy")["estimate"] == 1
    for name in ("vocabulary_jaccard", "direction_cosine", "agreement"):
        assert value(result, name, "one", "copy")["estimate"] == value(result, name, "one", "one")["estimate"]
    assert value(result, "prompt_auc", "one", "copy")["estimate"] == pytest.approx(0.5, abs=0.05)


def test_the_order_of_sources_permutes_the_tables(measured, tmp_path):
    sources, result, _ = measured
    again, _ = measure(tmp_path, dict(reversed(sources.items())))
    for name, table in result.items():
        keys = [c for c in KEYS if c in table.columns]
        one, two = (each.sort_values(keys).reset_index(drop=True) for each in (table, again[name]))
        if name != "source_similarity":
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        # Sums over sources, and a classifier that calls the other side first, have other last bits.
        pd.testing.assert_frame_equal(one, two, rtol=1e-6, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_no_bit(workers, measured, tmp_path, monkeypatch):
    sources, result, _ = measured
    monkeypatch.setattr(measure_all, "_WORTH_A_POOL", 0)
    monkeypatch.setenv("MORE_REPRO_WORKERS", str(workers))
    again, _ = measure(tmp_path, sources)
    assert all(again[name].equals(table) for name, table in result.items())


def test_without_drift_all_sources_agree_and_with_drift_they_do_not():
    rng = np.random.default_rng(0)
    known_as = {name: name for name in oracle.SOURCES}
    for name in oracle.SOURCES:
        pairs = pairs_frame(grammar.make_pairs(name, 60, "test", 1.0, rng))
        same, drifted = (
            {line[:3]: line[3] for line in true_choices(name, pairs, known_as, d, 0.95)} for d in (0.0, 1.0)
        )
        assert all(share == (measure_name == "true_agreement") for (_, _, measure_name), share in same.items())
        others = [share for (a, b, m), share in drifted.items() if a != b and m == "true_agreement"]
        assert all(0.3 < share < 0.99 for share in others)


def test_the_embedded_world_knows_the_truth_and_other_studies_do_not(measured, tmp_path):
    assert not any("true" in name for name in measured[1]["source_similarity"]["measure"])
    rng = np.random.default_rng(0)
    sources = {name: pairs_frame(grammar.make_pairs(name, 220, "test", 1.0, rng)) for name in ("helpful", "webgpt")}
    result, _ = measure(tmp_path, sources, reader="embedded")
    assert value(result, "true_agreement", "helpful", "helpful")["estimate"] == 1
    assert value(result, "true_conflict", "helpful", "webgpt")["n"] > 0
