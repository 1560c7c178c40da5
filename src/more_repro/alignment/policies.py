"""One aligned policy: fine-tune the base on the picked responses, answer the test prompts, read the test texts."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from more_repro.alignment.sampling import prompt_room
from more_repro.closure import code_digest, import_closure
from more_repro.lm import base_files, bases, causal, generation
from more_repro.lm.device import pick_device
from more_repro.lm.encoding import Example, encode_examples, response_end
from more_repro.records import prompt_from_json


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt (as prompt_json) with a response; `finished` is False where the policy never wrote eos."""

    prompt: str
    response: str
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Exam:
    """What is the same for every policy of a study: the base, how it is tuned, and what is asked of it after.

    base: folder of the base. prompts: test prompts (prompt_json). texts: whose likelihood is measured.
    """

    base: str
    prompts: tuple[str, ...]
    texts: tuple[Text, ...]
    sft_batch_size: int
    sft_epochs: int
    sft_learning_rate: float
    sft_warmup_ratio: float
    temperature: float
    max_new_tokens: int
    generation_batch: int
    max_length: int
    token_budget: int
    precision: str
    seed: int


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """picks: what the policy is fine-tuned on, nothing for the untuned one. out: where the result goes."""

    exam: Exam
    picks: tuple[Text, ...]
    out: str


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """responses: one per test prompt. nats, n_tokens: of the response of each test text, both (n texts,)."""

    responses: tuple[generation.Generated, ...]
    nats: np.ndarray
    n_tokens: np.ndarray


def run_policy(job: PolicyJob) -> None:
    """Make the policy and write its result to `job.out`, whole or not at all; nothing to do if it is there.

    All policies share the order of prompts in training and the random numbers of generation (common random numbers):
    they differ by the picked responses alone. The policy's weights are not kept.
    """
    if Path(job.out).exists():
        return
    exam, device = job.exam, pick_device()
    tokenizer = bases.load_tokenizer(Path(exam.base))
    # Weights stay fp32: updates of a fine-tuning learning rate are below bf16's rounding.
    model = bases.load_causal_lm(Path(exam.base)).to(device)  # type: ignore[arg-type]
    with torch.autocast(device.type, torch.bfloat16, enabled=exam.precision == "bf16"):
        if job.picks:
            examples = _examples(tokenizer, job.picks, exam.max_length)
            steps = max(1, len(examples) * exam.sft_epochs // exam.sft_batch_size)
            causal.train_causal_lm(
                model, examples, batch_size=exam.sft_batch_size, steps=steps, learning_rate=exam.sft_learning_rate,
                warmup_ratio=exam.sft_warmup_ratio, seed=exam.seed, label="", micro_batch_tokens=exam.token_budget,
            )  # fmt: skip
        answers = generation.generate(
            model, tokenizer, [prompt_from_json(text) for text in exam.prompts], n=1,
            max_new_tokens=exam.max_new_tokens, temperature=exam.temperature, seed=exam.seed,
            batch_size=exam.generation_batch, max_prompt_tokens=prompt_room(exam.max_length, exam.max_new_tokens),
        )  # fmt: skip
        texts = _examples(tokenizer, exam.texts, exam.max_length)
        nats, n_tokens = causal.negative_log_likelihood(model, texts, exam.token_budget)
    _write(Path(job.out), PolicyResult(tuple(row[0] for row in answers), nats, n_tokens))


def read_result(path: Path) -> PolicyResult:
    """A result that run_policy wrote; floats come back to the last bit."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    responses = tuple(generation.Generated(*row) for row in raw["responses"])
    return PolicyResult(responses, np.array(raw["nats"]), np.array(raw["n_tokens"], dtype=np.int64))


def exam_digest(exam: Exam) -> str:
    """Changes with the exam, the base's weights, the code of this module and what it imports, and torch's version."""
    here = Path(__file__).resolve()
    settings = {**asdict(exam), "base": base_files.fingerprint(Path(exam.base))}
    code = code_digest(import_closure(here, here.parents[1]))
    return _digest(settings, code, torch.__version__)


def picks_digest(exam: str, picks: tuple[Text, ...]) -> str:
    """Name of a policy's result. Two reward models that pick the same samples share it."""
    return _digest(exam, [asdict(text) for text in picks])


def _examples(tokenizer, texts: tuple[Text, ...], max_length: int) -> list[Example]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    prompts = [prompt_from_json(text.prompt) for text in texts]
    examples = encode_examples(tokenizer, prompts, [text.response for text in texts], max_length)
    # A response that was cut off never ended: its end is not the policy's and is not taught.
    n_end = len(response_end(tokenizer))
    return [
        example if text.finished else Example(example.ids[:-n_end], example.n_prompt_tokens)
        for example, text in zip(examples, texts, strict=True)
    ]


def _write(path: Path, result: PolicyResult) -> None:
    raw = {
        "responses": [[one.text, one.n_tokens, one.finished] for one in result.responses],
        "nats": result.nats.tolist(),
        "n_tokens": result.n_tokens.tolist(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    part.replace(path)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:24]
