"""vLLM itself needs a GPU: here a module in its place records what it is given and answers as it would."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from more_repro.lm import base_files, encoding, generation, vllm_generation

WORDS = 3  # tokens that the fake writes before it ends a response


class FakeLLM:
    def __init__(self, **settings):
        self.settings, self.calls = settings, []

    def generate(self, prompts, sampling_params, use_tqdm):
        self.calls.append((prompts, sampling_params))
        assert len(prompts) == len(sampling_params)
        return [self._answer(prompt, params) for prompt, params in zip(prompts, sampling_params, strict=True)]

    def _answer(self, prompt, params):
        (eos,) = params.stop_token_ids
        outputs = []
        for index in range(params.n):
            first = prompt["prompt_token_ids"][-1]
            ends = index % 2 == 0
            ids = [first] * (WORDS if ends else params.max_tokens)
            reason = "stop" if ends else "length"
            outputs.append(SimpleNamespace(index=index, token_ids=(*ids, eos)[: len(ids) + ends], finish_reason=reason))
        return SimpleNamespace(outputs=outputs[::-1])  # children may end in any order


@pytest.fixture
def vllm(monkeypatch):
    def sampling_params(**settings):
        assert settings["temperature"] > 0 or settings["n"] == 1, "n must be 1 when using greedy sampling"
        return SimpleNamespace(**settings)

    fake, inputs = ModuleType("vllm"), ModuleType("vllm.inputs")
    fake.LLM, fake.SamplingParams = FakeLLM, sampling_params
    inputs.TokensPrompt = dict
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setitem(sys.modules, "vllm.inputs", inputs)
    return fake


@pytest.fixture
def prompts(transcripts):
    return [prompt for prompt, _ in transcripts[:10]]


def generate(engine, tokenizer, prompts, **changes):
    settings = {"n": 4, "max_new_tokens": 8, "temperature": 0.7, "seed": 0, "batch_size": 64}
    return vllm_generation.generate(engine, tokenizer, prompts, **{**settings, **changes})


@pytest.mark.usefixtures("vllm")
def test_the_engine_reads_safetensors_of_the_pinned_commit_and_runs_no_foreign_code(tmp_path):
    base_files.write_pointer(tmp_path, "hub", "someone/some-model", "0123abc", n_parameters=1)
    engine = vllm_generation.load_engine(tmp_path, "bf16", seed=3, max_length=96)
    assert engine.settings == {
        "model": "someone/some-model", "revision": "0123abc", "trust_remote_code": False,
        "load_format": "safetensors", "seed": 3, "dtype": "bfloat16", "max_model_len": 96,
        "skip_tokenizer_init": True, "generation_config": "vllm",
    }  # fmt: skip
    with pytest.raises(ValueError, match="precision must be one of fp32, bf16, found 'fp16'"):
        vllm_generation.load_engine(tmp_path, "fp16", seed=3, max_length=96)


@pytest.mark.usefixtures("vllm")
def test_vllm_gets_our_tokens_and_our_settings(tokenizer, prompts):
    engine = FakeLLM()
    generate(engine, tokenizer, prompts, max_prompt_tokens=5)
    ((inputs, settings),) = engine.calls
    assert inputs == [{"prompt_token_ids": ids[-5:]} for ids in encoding.encode_prompts(tokenizer, prompts)]
    for one in settings:
        assert (one.n, one.temperature, one.max_tokens) == (4, 0.7, 8)
        assert one.stop_token_ids == [tokenizer.eos_token_id]
        assert one.ignore_eos
        assert not one.detokenize
        assert one.logit_bias[tokenizer.pad_token_id] <= -100


@pytest.mark.usefixtures("vllm")
def test_the_output_is_that_of_the_other_sampler(tokenizer, prompts):
    found = generate(FakeLLM(), tokenizer, prompts)
    for prompt, row in zip(prompts, found, strict=True):
        word = encoding.encode_prompt(tokenizer, prompt)[-1]
        ended = generation.Generated(encoding.decode_response(tokenizer, [word] * WORDS), WORDS + 1, True)
        cut = generation.Generated(encoding.decode_response(tokenizer, [word] * 8), 8, False)
        assert row == [ended, cut, ended, cut]


@pytest.mark.usefixtures("vllm")
def test_the_seed_of_a_prompt_depends_on_seed_and_prompt_alone(tokenizer, prompts):
    def seeds(prompts, **changes):
        engine = FakeLLM()
        generate(engine, tokenizer, prompts, **changes)
        return [one.seed for one in engine.calls[0][1]]

    first = seeds(prompts)
    assert len(set(first)) == len(prompts)
    assert seeds(prompts[::-1], n=2, temperature=0.3)[::-1] == first
    assert not set(first) & set(seeds(prompts, seed=1))
    assert all(0 <= seed < 2**62 for seed in first)


@pytest.mark.usefixtures("vllm")
def test_equal_prompts_are_asked_for_once_and_greedy_once_for_all_n(tokenizer, prompts):
    engine = FakeLLM()
    found = generate(engine, tokenizer, [prompts[0], prompts[1], prompts[0]], temperature=0.0)
    assert len(engine.calls[0][0]) == 2
    assert found[0] == found[2]
    assert [len(row) for row in found] == [4, 4, 4]
    assert all(one == row[0] for row in found for one in row)


@pytest.mark.usefixtures("vllm")
def test_a_stop_whose_token_vllm_left_out_still_ended_the_response(tokenizer):
    output = SimpleNamespace(token_ids=[7, 8], finish_reason="stop")
    found = vllm_generation._response(tokenizer, output)
    assert (found.n_tokens, found.finished) == (3, True)


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize("reason", ["abort", None])
def test_a_response_that_vllm_gave_up_is_an_error(tokenizer, reason):
    with pytest.raises(RuntimeError, match="expected stop or length"):
        vllm_generation._response(tokenizer, SimpleNamespace(token_ids=[7], finish_reason=reason))


def test_without_vllm_the_error_names_the_extra_and_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    base_files.write_pointer(tmp_path, "local", None, None, n_parameters=1)
    with pytest.raises(ImportError, match=r"extra `vllm`.*GPU.*align\.sampler to transformers"):
        vllm_generation.load_engine(tmp_path, "bf16", seed=0, max_length=8)
