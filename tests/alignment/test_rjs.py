import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.alignment.policies import perplexity, policy, rjs, texts
from more_repro.alignment.sampling import prompts_and_samples
from more_repro.lm import bases, causal, generation
from more_repro.lm.encoding import encode_examples
from more_repro.params import Stats
from more_repro.records import prompt_from_json

KEYS = [{"policy": "p", "base": "b", "regime": "r", "scheme": "s", "trained_on": "m", "seed": 0}]
STATS = Stats(seed=0, bins=10, null_draws=10, bootstrap_draws=400, permutation_draws=10, confidence=0.95)


def facts(sources, prompts=None, long=False):
    names = prompts or [f"p{number}" for number in range(len(sources))]
    return pd.DataFrame({"source": sources, "prompt_id": names, "long": long})


def one_by_one(function, jobs, label, preload=()):
    return [function(job) for job in jobs]


def test_every_policy_answers_every_test_prompt_once(study):
    responses = study.responses
    assert tables.check(responses, "responses").equals(responses)
    prompts = prompts_and_samples.test_prompts(study.params, study.paths)
    names = [*study.picks["policy"].unique(), "sft", "untuned"]
    assert responses["policy"].unique().tolist() == names
    for _, rows in responses.groupby("policy"):
        assert rows["prompt_id"].tolist() == prompts["prompt_id"].tolist()


def test_untuned_policy_is_the_base(study):
    base = study.paths.policy
    model, tokenizer = bases.load_causal_lm(base), bases.load_tokenizer(base)
    rows = study.responses[study.responses["policy"] == "untuned"]
    align = study.params.align
    drawn = generation.generate(
        model, tokenizer, [prompt_from_json(text) for text in rows["prompt"]], n=1, temperature=align.temperature,
        max_new_tokens=align.max_new_tokens, seed=study.params.data.seed, batch_size=64,
    )  # fmt: skip
    assert [row[0].text for row in drawn] == rows["response"].tolist()
    pairs = tables.read(study.paths.pairs("harmless", "test"), "pairs")
    examples = encode_examples(tokenizer, pairs["prompt"].map(prompt_from_json).tolist(), pairs["chosen"].tolist(), 64)
    nats, counts = causal.negative_log_likelihood(model, examples, 1000)
    found = study.perplexity.query("policy == 'untuned' and source == 'harmless'").iloc[0]
    assert found["perplexity"] == pytest.approx(np.exp(nats.sum() / counts.sum()), rel=1e-6)
    assert (found["n_texts"], found["n_tokens"]) == (len(pairs), counts.sum())


def test_tuning_moves_a_policy_towards_what_it_was_tuned_on(study):
    wide = study.perplexity.pivot_table(index="policy", columns="source", values="perplexity")
    assert (wide.loc["sft"] < wide.loc["untuned"]).all()
    assert (study.perplexity["perplexity_low"] < study.perplexity["perplexity"]).all()
    assert (study.perplexity["perplexity"] < study.perplexity["perplexity_high"]).all()


def test_a_killed_run_resumes_to_the_same_tables(study, monkeypatch):
    """One result is lost and made again in this process: same bytes as the worker's, the others are not touched."""
    monkeypatch.setattr(rjs, "run_jobs", one_by_one)
    files = sorted((study.paths.scratch / "rjs").glob("*.json"))
    assert len(files) == study.responses["policy"].nunique()
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    files[0].unlink()
    again = rjs.align_policies(study.params, study.paths, study.picks, study.samples)
    assert again["responses"].equals(study.responses)
    assert again["perplexity"].equals(study.perplexity)
    assert files[0].read_bytes() == before[files[0]][0]
    assert [file.stat().st_mtime_ns for file in files[1:]] == [before[file][1] for file in files[1:]]
    assert sorted((study.paths.scratch / "rjs").iterdir()) == files


def test_equal_picks_share_one_job_and_other_picks_never_do(study, monkeypatch, tmp_path):
    asked = []

    def spy(function, jobs, label, preload=()):
        asked.extend(jobs)
        return one_by_one(function, jobs, label)

    monkeypatch.setattr(rjs, "run_jobs", spy)
    monkeypatch.setattr(type(study.paths), "scratch", property(lambda self: tmp_path))
    one = study.picks[study.picks["policy"] == "oracle_choice"]
    twice = [one, one.assign(policy="copy", scheme="copy")]
    made = rjs.align_policies(study.params, study.paths, tables.check(pd.concat(twice), "picks"), study.samples)
    assert len(asked) == 3  # the shared one, sft, untuned
    answers = made["responses"].groupby("policy")["response"].apply(list)
    assert answers["copy"] == answers["oracle_choice"]
    assert answers["copy"] != answers["sft"]


def test_fingerprint_follows_settings_base_and_picks(study):
    prompts = prompts_and_samples.test_prompts(study.params, study.paths)
    exam = rjs._exam(study.params, study.paths, prompts, rjs._read_pairs(study.params, study.paths, "test"))
    digest = policy.exam_digest(exam)
    assert digest == policy.exam_digest(exam)
    assert digest != policy.exam_digest(replace(exam, sft=replace(exam.sft, learning_rate=0.5)))
    assert digest == policy.exam_digest(replace(exam, sft=replace(exam.sft, checkpoint_steps=7)))
    assert digest != policy.exam_digest(replace(exam, prompts=exam.prompts[1:]))
    text = texts.Text("[]", "a")
    names = {policy.picks_digest(digest, picks) for picks in ((), (text,), (replace(text, finished=False),))}
    assert len(names) == 3


def test_unfinished_picks_do_not_teach_an_end(study):
    tokenizer = bases.load_tokenizer(study.paths.base("nano"))
    prompt, response = study.samples.loc[0, ["prompt", "response"]]
    done, cut = texts.to_examples(tokenizer, (texts.Text(prompt, response), texts.Text(prompt, response, False)), 64)
    assert done.ids == [*cut.ids, tokenizer.eos_token_id]
    assert done.n_prompt_tokens == cut.n_prompt_tokens


def test_results_are_written_whole_and_read_back_exactly(tmp_path):
    result = policy.PolicyResult(
        (generation.Generated("a “b”", 3, True),),
        np.array([0.1 + 0.2, 1e-17]),
        np.array([1, 2]),
        np.array([False, True]),
    )
    policy._write(tmp_path / "r.json", result)
    back = policy.read_result(tmp_path / "r.json")
    assert back.responses == result.responses
    assert back.nats.tolist() == result.nats.tolist()
    assert back.n_tokens.tolist() == [1, 2]
    assert back.long.tolist() == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]
    json.loads((tmp_path / "r.json").read_text())


def test_picks_that_miss_a_prompt_are_refused_with_the_policys_name(study):
    with pytest.raises(ValueError, match=r"resampled/multitask/mixture/seed0: 47 picks.*48 sampled prompts"):
        rjs.align_policies(study.params, study.paths, study.picks.iloc[1:], study.samples)
    wrong = study.picks.assign(number=99)
    with pytest.raises(ValueError, match="a number that was not sampled"):
        rjs.align_policies(study.params, study.paths, wrong, study.samples)


def test_perplexity_weighs_tokens_counts_outliers_and_keeps_them():
    nats = np.array([[2.0, 3.0, 20.0, 0.0]])
    tokens = np.array([[2, 1, 2, 1]])
    table = perplexity.perplexity_table(
        KEYS, facts(["a", "a", "a", "b"], long=[False, True, True, False]), nats, tokens, STATS
    ).set_index("source")
    assert table.loc["a", "perplexity"] == pytest.approx(np.exp(25 / 5))
    assert table.loc["a", "median_perplexity"] == pytest.approx(np.exp(3))
    assert table.loc["a", "mean_perplexity"] == pytest.approx(np.exp([1, 3, 10]).mean())
    assert table["n_outliers"].tolist() == [1, 0]
    assert table["n_long"].tolist() == [2, 0]
    assert table.loc["a", "perplexity_low"] == pytest.approx(np.exp(1.0))
    assert table.loc["b", ["perplexity", "perplexity_low", "perplexity_high"]].tolist() == [1, 1, 1]


def test_perplexity_interval_matches_the_delta_method():
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 15, (1, 500))
    nats = tokens * rng.normal(1.5, 0.4, (1, 500))
    row = perplexity.perplexity_table(
        KEYS, facts(["a"] * 500), nats, tokens, STATS.model_copy(update={"bootstrap_draws": 4000})
    )
    mean = nats.sum() / tokens.sum()
    error = np.std(nats - mean * tokens) / tokens.mean() / np.sqrt(500)
    width = np.log(row["perplexity_high"] / row["perplexity_low"]).iloc[0]
    assert width == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_perplexity_interval_keeps_the_texts_of_a_prompt_together():
    """Each text twice under one prompt is no more evidence than each text once."""
    rng = np.random.default_rng(0)
    nats, tokens = rng.normal(15, 4, (1, 60)), np.full((1, 60), 10)
    once = perplexity.perplexity_table(KEYS, facts(["a"] * 60), nats, tokens, STATS)
    names = [f"p{number}" for number in range(60)] * 2
    twice = perplexity.perplexity_table(KEYS, facts(["a"] * 120, names), np.tile(nats, 2), np.tile(tokens, 2), STATS)
    columns = ["perplexity", "perplexity_low", "perplexity_high"]
    np.testing.assert_allclose(once[columns], twice[columns], rtol=1e-12)


def test_responses_say_what_they_were_drawn_with(study):
    rows = study.responses.drop_duplicates("policy").set_index("policy")["settings"].map(json.loads)
    assert rows["untuned"]["fine_tuning"] is None
    assert rows["untuned"]["temperature"] == study.params.align.temperature
    assert rows["sft"]["fine_tuning"]["learning_rate"] == study.params.align.sft.learning_rate
    assert rows["sft"]["policy"] == rows["untuned"]["policy"]
    assert rows["sft"]["fine_tuning"]["texts"] != rows["oracle_choice"]["fine_tuning"]["texts"]


def test_a_killed_fine_tuning_goes_on_to_the_same_answers(study, tmp_path, monkeypatch):
    prompts = prompts_and_samples.test_prompts(study.params, study.paths).head(4)
    truth = rjs._read_pairs(study.params, study.paths, "test").head(4)
    exam = rjs._exam(study.params, study.paths, prompts, truth)
    exam = replace(exam, sft=replace(exam.sft, checkpoint_steps=1))
    (*_, picks, _) = rjs._policies(study.params, study.paths, study.picks, study.samples)[1]
    plain = policy.PolicyJob("p", exam, picks, str(tmp_path / "plain.json"))
    policy.run_policy(plain)
    killed = replace(plain, out=str(tmp_path / "killed.json"))
    with monkeypatch.context() as patch:
        patch.setattr(policy.generation, "generate", None)  # stops after the fine-tuning
        with pytest.raises(TypeError):
            policy.run_policy(killed)
    assert (tmp_path / "killed.checkpoints" / "step00000003").is_dir()
    said = []
    monkeypatch.setattr("more_repro.progress.say", said.append)
    policy.run_policy(killed)
    assert said == ["p: resumed after step 3 of 3"]
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "plain.json").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["killed.json", "plain.json"]
