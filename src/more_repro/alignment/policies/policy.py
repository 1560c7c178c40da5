"""One aligned policy: fine-tune the base on the picked responses, answer the test prompts, read the test texts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from more_repro.alignment.policies.fine_tuning import FineTuning, fine_tune
from more_repro.alignment.policies.texts import Text, texts_digest, to_examples
from more_repro.alignment.sampling.prompts_and_samples import prompt_room
from more_repro.lm import base_files, bases, causal, generation
from more_repro.lm.device import pick_device
from more_repro.records import prompt_from_json
from more_repro.store.atomic import write_text
from more_repro.store.checkpoint import drop_checkpoints
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest_of


@dataclass(frozen=True, slots=True)
class Exam:
    """What is the same for every policy of a study: the base, how it is tuned, and what is asked of it after.

    base: folder of the policy that all begin from. prompts: test prompts (prompt_json). texts: whose likelihood is
    measured, those over max_length by stride.
    """

    base: str
    prompts: tuple[str, ...]
    texts: tuple[Text, ...]
    sft: FineTuning
    temperature: float
    max_new_tokens: int
    generation_batch: int
    max_length: int


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """name: for progress lines. picks: what the policy is fine-tuned on, nothing for the untuned one.

    out: where the result goes, its name the digest of all that it depends on; checkpoints lie beside it meanwhile.
    """

    name: str
    exam: Exam
    picks: tuple[Text, ...]
    out: str


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """responses: one per test prompt. nats, n_tokens: of the response of each test text, both (n texts,).

    long: whether a text was read by stride, (n texts,).
    """

    responses: tuple[generation.Generated, ...]
    nats: np.ndarray
    n_tokens: np.ndarray
    long: np.ndarray


def run_policy(job: PolicyJob) -> None:
    """Make one policy and write what it answers to job.out. The policy itself is not kept: its responses are.

    A fine-tuning that was killed goes on from its newest whole checkpoint.
    """
    exam, device, out = job.exam, pick_device(), Path(job.out)
    checkpoints = out.with_suffix(".checkpoints")
    tokenizer = bases.load_tokenizer(Path(exam.base))
    # Weights stay fp32: updates of a fine-tuning learning rate are below bf16's rounding.
    model = bases.load_causal_lm(Path(exam.base)).to(device)  # type: ignore[arg-type]
    if job.picks:
        examples = to_examples(tokenizer, job.picks, exam.max_length)
        fine_tune(model, examples, exam.sft, name=job.name, checkpoints=checkpoints, fingerprint=out.stem)
    with torch.autocast(device.type, torch.bfloat16, enabled=exam.sft.precision == "bf16"):
        answers = generation.generate(
            model, tokenizer, [prompt_from_json(text) for text in exam.prompts], n=1,
            max_new_tokens=exam.max_new_tokens, temperature=exam.temperature, seed=exam.sft.seed,
            batch_size=exam.generation_batch, max_prompt_tokens=prompt_room(exam.max_length, exam.max_new_tokens),
        )  # fmt: skip
        texts = to_examples(tokenizer, exam.texts)
        nats, n_tokens = causal.negative_log_likelihood(model, texts, exam.sft.token_budget, exam.max_length)
    long = np.array([len(text.ids) > exam.max_length for text in texts], dtype=np.bool_)
    _write(out, PolicyResult(tuple(row[0] for row in answers), nats, n_tokens, long))
    drop_checkpoints(checkpoints)


def read_result(path: Path) -> PolicyResult:
    """A result that run_policy wrote; floats come back to the last bit."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    responses = tuple(generation.Generated(*row) for row in raw["responses"])
    return PolicyResult(
        responses, np.array(raw["nats"]), np.array(raw["n_tokens"], dtype=np.int64), np.array(raw["long"])
    )


def exam_digest(exam: Exam) -> str:
    """Changes with the exam, the base's weights, the code that makes and asks a policy, and the libraries."""
    settings = {**asdict(exam), "base": base_files.fingerprint(Path(exam.base)), "sft": exam.sft.facts()}
    return digest_of(settings, code_key(__name__, without=CHANGES_NO_NUMBER))


def picks_digest(exam: str, picks: tuple[Text, ...]) -> str:
    """Name of a policy's result. Two reward models that pick the same samples share it."""
    return digest_of(exam, texts_digest(picks))


def _write(path: Path, result: PolicyResult) -> None:
    raw = {
        "responses": [[one.text, one.n_tokens, one.finished] for one in result.responses],
        "nats": result.nats.tolist(),
        "n_tokens": result.n_tokens.tolist(),
        "long": result.long.tolist(),
    }
    write_text(path, json.dumps(raw, ensure_ascii=False))
