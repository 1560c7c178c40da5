"""Samples of a policy in batches that survive a kill: each is written when it is done, and never drawn again."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase

from more_repro.lm import base_files, bases, generation, vllm_generation
from more_repro.lm.device import dtype_of, pick_device
from more_repro.progress import Progress, say
from more_repro.records import Message, prompt_from_json
from more_repro.store.atomic import write_text
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest_of

Sampler = Literal["transformers", "vllm"]
_Draw = Callable[[list[tuple[Message, ...]]], list[list[generation.Generated]]]
_VLLM_PROMPTS = 512  # of one batch: what a kill may cost; vLLM makes its own batches inside


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What is drawn from a policy. policy: its folder. batch_size: responses decoded together."""

    policy: Path
    sampler: Sampler
    precision: Literal["fp32", "bf16"]
    n: int
    max_new_tokens: int
    temperature: float
    seed: int
    batch_size: int
    max_prompt_tokens: int


def draw(request: SampleRequest, prompts: list[str], scratch: Path, label: str) -> list[list[generation.Generated]]:
    """`n` responses for each of different prompts (prompt_json), shape (prompts, n).

    Batches are laid out from the whole list before anything is drawn, and each lies in a file under `scratch`, in a
    folder named by all that its bytes depend on. So a run that was killed goes on where it was and gives the same
    bytes as one that was not.
    """
    tokenizer = bases.load_tokenizer(request.policy)
    read = [prompt_from_json(prompt) for prompt in prompts]
    encoded, cut = generation.encode_cut(tokenizer, read, request.max_prompt_tokens)
    say(
        f"{label}: {sum(cut)} of {len(cut)} prompts have over {request.max_prompt_tokens} tokens, their left end is cut"
    )
    width = _VLLM_PROMPTS if request.sampler == "vllm" else max(1, request.batch_size // request.n)
    plan = generation.plan_batches([len(ids) for ids in encoded], width)
    folder = scratch / _digest(request, prompts)
    progress = Progress(label, len(prompts), unit="prompts")
    found = {number: _read(_file(folder, number), len(batch), request.n) for number, batch in enumerate(plan)}
    progress.resume_at(sum(len(batch) for number, batch in enumerate(plan) if found[number] is not None))
    sampler: _Draw | None = None
    responses: list[list[generation.Generated]] = [[] for _ in prompts]
    for number, batch in enumerate(plan):
        drawn = found[number]
        if drawn is None:
            sampler = sampler or _open(request, tokenizer)  # a run that finds all batches loads no model
            drawn = sampler([read[place] for place in batch])
            _write(_file(folder, number), drawn)
            progress.step(len(batch))
        for place, row in zip(batch, drawn, strict=True):
            responses[place] = row
    return responses


def sampler_version(sampler: Sampler) -> str:
    """The version of the library that draws. Raises ImportError where it is not installed."""
    try:
        return version(sampler)
    except PackageNotFoundError:
        raise ImportError(
            f"align.sampler is {sampler}, which is not installed: install the extra `{sampler}` on a machine with a "
            "GPU, or set align.sampler to transformers"
        ) from None


def _open(request: SampleRequest, tokenizer: PreTrainedTokenizerBase) -> _Draw:
    """The policy, loaded once, as a function from prompts to responses."""
    if request.sampler == "vllm":
        room = request.max_prompt_tokens + request.max_new_tokens
        engine = vllm_generation.load_engine(request.policy, request.precision, request.seed, room)
        return _settled(vllm_generation.generate, engine, tokenizer, request)
    model = bases.load_causal_lm(request.policy, dtype_of(request.precision))
    torch.nn.Module.to(model, pick_device())
    return _settled(generation.generate, model, tokenizer, request)


def _settled(
    generate: Callable[..., Any], model: Any, tokenizer: PreTrainedTokenizerBase, request: SampleRequest
) -> _Draw:
    settings = (field.name for field in fields(request) if field.name not in ("policy", "sampler", "precision"))
    return partial(generate, model, tokenizer, **{name: getattr(request, name) for name in settings})


def _digest(request: SampleRequest, prompts: list[str]) -> str:
    """Changes with the request, the policy's files, the prompts, the code, the libraries and the kind of device."""
    return digest_of(
        {**asdict(request), "policy": base_files.fingerprint(request.policy)}, prompts, torch.__version__,
        sampler_version(request.sampler), version("tokenizers"), pick_device().type,
        code_key(__name__, without=CHANGES_NO_NUMBER),
    )  # fmt: skip


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.json"


def _read(path: Path, n_prompts: int, n: int) -> list[list[generation.Generated]] | None:
    """The responses of a finished batch, or None where there is none that is whole."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if len(rows) != n_prompts or any(len(row) != n for row in rows):
        return None
    return [[generation.Generated(*one) for one in row] for row in rows]


def _write(path: Path, drawn: list[list[generation.Generated]]) -> None:
    rows = [[[one.text, one.n_tokens, one.finished] for one in row] for row in drawn]
    write_text(path, json.dumps(rows, ensure_ascii=False))
