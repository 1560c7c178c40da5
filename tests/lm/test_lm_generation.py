import pytest
import torch

from more_repro.lm import bases, encoding, generation


@pytest.fixture
def prompts(transcripts):
    return [prompt for prompt, _ in transcripts[:30]]


def generate(model, tokenizer, prompts, **changes):
    settings = {"n": 2, "max_new_tokens": 8, "temperature": 1.0, "seed": 0, "batch_size": 64}
    return generation.generate(model, tokenizer, prompts, **{**settings, **changes})


def test_same_seed_same_samples_other_seed_others(model, tokenizer, prompts):
    first = generate(model, tokenizer, prompts)
    assert first == generate(model, tokenizer, prompts)
    assert first != generate(model, tokenizer, prompts, seed=1)


def test_samples_of_a_prompt_depend_on_no_other_prompt(model, tokenizer, prompts):
    together = generate(model, tokenizer, prompts)
    assert generate(model, tokenizer, prompts[::-1])[::-1] == together
    assert [generate(model, tokenizer, [prompt])[0] for prompt in prompts[:8]] == together[:8]
    assert generate(model, tokenizer, prompts, batch_size=5) == together


@pytest.mark.parametrize("changes", [{"architecture": "llama"}, {"tokenizer": "bpe", "vocabulary": 300}])
def test_padding_between_prompts_changes_nothing_for_other_bases(changes, base_settings, corpus, prompts, tmp_path):
    bases.make_base("nano", base_settings(steps=5, **changes), corpus, tmp_path, seed=1, max_length=64)
    model, tokenizer = bases.load_causal_lm(tmp_path), bases.load_tokenizer(tmp_path)
    together = generate(model, tokenizer, prompts)
    assert [generate(model, tokenizer, [prompt])[0] for prompt in prompts[:8]] == together[:8]


def test_more_samples_keep_the_first_ones(model, tokenizer, prompts):
    four = generate(model, tokenizer, prompts, n=4)
    assert [row[:2] for row in four] == generate(model, tokenizer, prompts, n=2)
    assert any(len({sample.text for sample in row}) > 1 for row in four)


def test_temperature_to_zero_is_greedy(model, tokenizer, prompts):
    greedy = generate(model, tokenizer, prompts, temperature=0.0)
    assert generate(model, tokenizer, prompts, temperature=1e-6) == greedy
    for prompt, row in zip(prompts[:10], greedy, strict=False):
        ids = encoding.encode_prompt(tokenizer, prompt)
        for _ in range(8):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            logits[tokenizer.pad_token_id] = -torch.inf
            ids.append(int(logits.argmax()))
            if ids[-1] == tokenizer.eos_token_id:
                break
        new = ids[len(encoding.encode_prompt(tokenizer, prompt)) :]
        assert row[0].text == tokenizer.decode([i for i in new if i != tokenizer.eos_token_id])
        assert row[0] == row[1]


def test_finished_means_that_the_policy_wrote_eos(model, tokenizer, prompts):
    short = [sample for row in generate(model, tokenizer, prompts, max_new_tokens=3, n=4) for sample in row]
    assert {sample.finished for sample in short} == {True, False}
    for sample in short:
        words = len(encoding.encode_texts(tokenizer, [sample.text])[0])
        assert sample.n_tokens == words + sample.finished
        assert sample.finished or sample.n_tokens == 3
        assert "<eos>" not in sample.text
        assert "<pad>" not in sample.text


def test_tokens_are_drawn_with_their_probability():
    logits = torch.log(torch.tensor([0.2, 0.0, 0.5, 0.3])).repeat(10_000, 1)
    uniforms = torch.arange(10_000, dtype=torch.float64) / 10_000
    counts = torch.bincount(generation._choose(logits, 1.0, uniforms), minlength=4)
    assert counts.tolist() == pytest.approx([2000, 0, 5000, 3000], abs=1)


def test_padding_is_never_drawn(model, tokenizer, prompts):
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.pad_token_id] *= 1000
    ids = [generation._uniforms(0, prompts[0], 2, 3)]
    assert ids[0].shape == (2, 3)
    for row in generate(model, tokenizer, prompts, n=4):
        assert all("<pad>" not in sample.text for sample in row)


def test_long_prompts_lose_their_left_end(model, tokenizer, prompts):
    cut = generate(model, tokenizer, prompts, max_prompt_tokens=2)
    assert cut != generate(model, tokenizer, prompts)
    assert cut == generate(model, tokenizer, prompts, max_prompt_tokens=2, batch_size=3)


@pytest.mark.parametrize("changes", [{"n": 0}, {"temperature": -1.0}, {"max_new_tokens": 0}])
def test_settings_that_ask_for_nothing_are_refused(model, tokenizer, prompts, changes):
    with pytest.raises(ValueError, match="found"):
        generate(model, tokenizer, prompts, **changes)
