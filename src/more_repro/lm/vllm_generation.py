"""Sampling responses with vLLM on GPUs: the same prompts' tokens, the same settings and the same output as generation.

vLLM is an optional extra and is imported only here, when it is asked for.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from more_repro.lm.base_files import origin
from more_repro.lm.generation import Generated, check_settings, encode_cut, prompt_words, response_of
from more_repro.records import Message
from more_repro.stats.random import numbered

_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
_NEVER = -100.0  # a bias that no logit outweighs, the lowest that vLLM takes


def load_engine(path: Path, precision: str, seed: int, max_length: int) -> Any:
    """vLLM's engine for a base or policy; max_length: tokens of prompt and response together.

    Raises ImportError that names the extra where vLLM is missing, ValueError for a precision other than fp32 and bf16.
    """
    if precision not in _DTYPES:
        raise ValueError(f"precision must be one of {', '.join(_DTYPES)}, found {precision!r}")
    source, revision = origin(path)
    # generation_config="vllm": a model's own defaults (top-p, more ends of text) would be a law of their own.
    return _vllm().LLM(
        model=source, revision=revision, trust_remote_code=False, load_format="safetensors", seed=seed,
        dtype=_DTYPES[precision], max_model_len=max_length, skip_tokenizer_init=True, generation_config="vllm",
    )  # fmt: skip


def generate(
    engine: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[Message, ...]],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    batch_size: int = 0,
    max_prompt_tokens: int | None = None,
) -> list[list[Generated]]:
    """`n` responses for each prompt, shape (prompts, n): as `generation.generate`, drawn by vLLM.

    A prompt's seed comes from `seed` and the prompt, and vLLM adds the sample's number to it, so sample i has the same
    seed whatever n and the other prompts are; its text is the same as far as vLLM rounds alike in other batches. These
    are not the texts that `generation.generate` draws. batch_size: not used, vLLM makes its own batches.
    Raises ValueError for settings that ask for nothing, RuntimeError where vLLM gave up on a prompt.
    """
    check_settings(n, max_new_tokens, temperature)
    vllm = _vllm()
    distinct = list(dict.fromkeys(prompts))
    encoded, _ = encode_cut(tokenizer, distinct, max_prompt_tokens)
    greedy = temperature == 0  # vLLM refuses several likeliest responses: they are equal
    # The tokenizer's eos alone ends a response, and padding is no word of any, as in generation.generate.
    fixed = {
        "n": 1 if greedy else n, "temperature": temperature, "max_tokens": max_new_tokens, "ignore_eos": True,
        "stop_token_ids": [tokenizer.eos_token_id], "logit_bias": {tokenizer.pad_token_id: _NEVER},
        "detokenize": False,
    }  # fmt: skip
    settings = [vllm.SamplingParams(**fixed, seed=_seed(seed, prompt)) for prompt in distinct]
    inputs = [import_module("vllm.inputs").TokensPrompt(prompt_token_ids=ids) for ids in encoded]
    answers = engine.generate(inputs, settings, use_tqdm=False)
    found = {}
    for prompt, answer in zip(distinct, answers, strict=True):
        drawn = [_response(tokenizer, one) for one in sorted(answer.outputs, key=lambda one: one.index)]
        found[prompt] = drawn * n if greedy else drawn
    return [list(found[prompt]) for prompt in prompts]


def _response(tokenizer: PreTrainedTokenizerBase, output: Any) -> Generated:
    if output.finish_reason not in ("stop", "length"):
        raise RuntimeError(f"vLLM ended a response for the reason {output.finish_reason!r}, expected stop or length")
    ids = list(output.token_ids)
    # Versions differ in whether the token that ended the response is in the list.
    if output.finish_reason == "stop" and tokenizer.eos_token_id not in ids:
        ids.append(tokenizer.eos_token_id)
    return response_of(tokenizer, ids)


def _seed(seed: int, prompt: tuple[Message, ...]) -> int:
    """48 bits from the seed and the prompt: sums with a sample's number stay far below vLLM's 64."""
    return int(numbered(seed, *prompt_words(prompt)).integers(1 << 48))


def _vllm() -> Any:
    try:
        return import_module("vllm")
    except ImportError as error:
        raise ImportError(
            f"align.sampler is vllm, and vLLM cannot be imported ({error}): install the extra `vllm` "
            "(`pip install -e '.[vllm]'`) on a machine with a GPU, or set align.sampler to transformers"
        ) from error
