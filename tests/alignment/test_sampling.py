import pandas as pd

from more_repro import tables
from more_repro.alignment import sampling
from more_repro.records import prompt_from_json, prompt_id


def test_each_prompt_has_n_numbered_samples(study):
    table, align = study.samples, study.params.align
    assert tables.check(table, "samples").equals(table)
    assert table["prompt_id"].nunique() == align.train_prompts
    numbers = table.groupby("prompt_id")["number"].apply(list)
    assert (numbers.map(lambda found: found == list(range(align.samples_per_prompt)))).all()
    assert table["source"].value_counts().nunique() == 1
    assert (table["n_tokens"] <= align.max_new_tokens).all()


def test_sampling_again_gives_the_same_table(study):
    assert sampling.sample_policy(study.params, study.paths).equals(study.samples)


def test_prompts_are_different_and_of_their_own_split(study):
    for split, prompts in (
        ("train", sampling.train_prompts(study.params, study.paths)),
        ("test", sampling.test_prompts(study.params, study.paths)),
    ):
        pairs = [tables.read(study.paths.pairs(source, split), "pairs") for source in study.params.align.sources]
        known = pd.concat(pairs)[["prompt_id", "source", "prompt"]].drop_duplicates()
        assert len(prompts.merge(known)) == len(prompts) == getattr(study.params.align, f"{split}_prompts")
        assert prompts["prompt_id"].is_unique
        assert [prompt_id(prompt_from_json(text)) for text in prompts["prompt"]] == prompts["prompt_id"].tolist()


def test_more_prompts_than_there_are_gives_all_of_them_once(study):
    align = study.params.align.model_copy(update={"train_prompts": 10**6})
    params = study.params.model_copy(update={"align": align})
    pairs = pd.concat([tables.read(study.paths.pairs(s, "train"), "pairs") for s in align.sources])
    found = sampling.train_prompts(params, study.paths)
    assert sorted(found["prompt_id"]) == sorted(pairs["prompt_id"].unique())


def test_a_prompt_of_two_sources_counts_once(study, tmp_path):
    paths = type(study.paths)("tiny", tmp_path)
    pairs = tables.read(study.paths.pairs("helpful", "test"), "pairs")
    for source in ("helpful", "harmless"):
        tables.write(pairs.assign(source=source), paths.pairs(source, "test"), "pairs")
    found = sampling.test_prompts(study.params, paths)
    assert found["prompt_id"].is_unique
    assert set(found["source"]) == {"helpful", "harmless"}
