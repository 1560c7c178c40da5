import pytest
import torch
from transformers import AutoModelForCausalLM

from more_repro.lm import bases, decoding, encoding, generation
from more_repro.lm.kv_cache import growing_cache
from tiny_models import tiny_config


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
    counts = torch.bincount(decoding.choose(logits, 1.0, uniforms), minlength=4)
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


def test_equal_prompts_are_drawn_once(model, tokenizer, prompts, monkeypatch):
    batches, decode = [], generation.decode
    monkeypatch.setattr(
        generation, "decode", lambda model, encoded, *rest, **ends: batches.append(len(encoded)) or decode(
            model, encoded, *rest, **ends)
    )  # fmt: skip
    found = generate(model, tokenizer, [prompts[0], prompts[1], prompts[0], prompts[0]])
    assert sum(batches) == 2
    assert found == [found[0], found[1], found[0], found[0]]
    assert found[:2] == generate(model, tokenizer, prompts[:2])


def test_every_prompt_is_read_once_and_ended_rows_are_no_work(model, tokenizer, prompts, monkeypatch):
    tokens, logits = [], decoding._logits
    monkeypatch.setattr(
        decoding, "_logits", lambda model, ids, *rest: tokens.append(tuple(ids.shape)) or logits(model, ids, *rest)
    )
    found = generate(model, tokenizer, prompts[:12], n=4, batch_size=48, max_new_tokens=20)
    longest = max(len(ids) for ids in encoding.encode_prompts(tokenizer, prompts[:12]))
    assert tokens[0] == (12, longest)
    lengths = [sample.n_tokens for row in found for sample in row]
    alive = [sum(length > step for length in lengths) for step in range(1, max(lengths))]
    assert [width for _, width in tokens[1:]] == [1] * (len(tokens) - 1)
    for (rows, _), needed in zip(tokens[1:], alive, strict=False):
        assert needed <= rows <= max(needed, needed / (1 - 1 / decoding._DROPPED_SHARE)) + 1e-9


def test_a_token_without_probability_is_never_drawn():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2000, 500, generator=generator) * 8
    logits[torch.rand(logits.shape, generator=generator) < 0.5] = -torch.inf
    uniforms = torch.rand(2000, generator=generator, dtype=torch.float64)
    uniforms[:10] = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64).repeat(5)
    drawn = decoding.choose(logits, 1.0, uniforms)
    assert torch.isfinite(logits.gather(1, drawn[:, None])).all()
    exact = torch.softmax(logits.double(), dim=1).cumsum(1)
    # The last numbers before 1 fall among tokens whose mass is below the rounding of the sum.
    assert ((exact <= uniforms[:, None]).sum(1) == drawn)[uniforms < 1 - 1e-9].all()


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_the_growing_cache_gives_the_logits_of_a_whole_pass(architecture):
    model = AutoModelForCausalLM.from_config(tiny_config(architecture, 50)).eval()
    ids = torch.randint(2, 50, (2, 12), generator=torch.Generator().manual_seed(0))
    whole = model(input_ids=ids.repeat_interleave(3, dim=0)).logits
    cache = growing_cache(model.config, room=4)
    with torch.no_grad():
        model(input_ids=ids[:, :3], past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(3)
        rows = torch.arange(6)
        for place in range(3, 12):  # past its room, so that it grows again
            new = ids.repeat_interleave(3, dim=0)[rows, place, None]
            logits = model(input_ids=new, past_key_values=cache, use_cache=True).logits[:, 0]
            assert torch.allclose(logits, whole[rows, place], atol=1e-5)
            if place == 6:
                rows = torch.tensor([1, 4, 5])
                cache.batch_select_indices(rows)
