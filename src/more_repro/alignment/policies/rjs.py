"""RJS, rejection sampling then fine-tuning: one policy per reward model, with four references beside them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.policies.fine_tuning import FineTuning
from more_repro.alignment.policies.perplexity import perplexity_table
from more_repro.alignment.policies.policy import (
    Exam,
    PolicyJob,
    PolicyResult,
    exam_digest,
    picks_digest,
    read_result,
    run_policy,
)
from more_repro.alignment.policies.texts import Text, texts_digest
from more_repro.alignment.sampling.best_of_n import reference_key
from more_repro.alignment.sampling.prompts_and_samples import (
    generation_batch,
    generation_settings,
    test_prompts,
    token_budget,
)
from more_repro.engine.lora import LoraSpec
from more_repro.params import Params, Sft
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY
from more_repro.schemes import SFT, UNTUNED
from more_repro.workers import run_jobs

_POLICY_KEY = ["policy", *MODEL_KEY]


def align_policies(params: Params, paths: Paths, picks: pd.DataFrame, samples: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Fine-tune a policy on each policy's picks, and let all answer: tables "responses" and "perplexity".

    Added to the policies of `picks`: "sft", tuned on the chosen responses to the same prompts, and "untuned".
    Results lie under paths.scratch / "rjs", named by all that went into them, so a killed run goes on where it was,
    and a killed fine-tuning from its newest checkpoint.
    Raises ValueError naming the policy whose picks are not one sample for each sampled prompt.
    """
    prompts = test_prompts(params, paths)
    truth = _read_pairs(params, paths, "test")
    exam = _exam(params, paths, prompts, truth)
    keys, texts = _policies(params, paths, picks, samples)
    results = _run(exam, [str(key["policy"]) for key in keys], texts, paths.scratch / "rjs")
    drawn_with = _settings(params, paths, exam, texts)
    responses = [
        _responses(key, prompts, result).assign(settings=settings)
        for key, result, settings in zip(keys, results, drawn_with, strict=True)
    ]
    perplexity = perplexity_table(
        keys,
        truth[["source", "prompt_id"]].assign(long=results[0].long),
        np.stack([result.nats for result in results]),
        np.stack([result.n_tokens for result in results]),
        params.stats,
    )
    return {
        "responses": tables.check(pd.concat(responses, ignore_index=True), "responses"),
        "perplexity": perplexity,
    }


def _policies(
    params: Params, paths: Paths, picks: pd.DataFrame, samples: pd.DataFrame
) -> tuple[list[Mapping[str, str | int]], list[tuple[Text, ...]]]:
    """Key columns and training texts of every policy, the prompts in the samples' order for each."""
    order = samples["prompt_id"].drop_duplicates()
    keys: list[Mapping[str, str | int]] = []
    texts = []
    for _, group in picks.groupby(_POLICY_KEY, sort=False):
        key = {str(name): value for name, value in group[_POLICY_KEY].iloc[0].items()}
        _check_picks(str(key["policy"]), group, order)
        chosen = group[["prompt_id", "number"]].merge(samples, on=["prompt_id", "number"], how="left")
        if chosen["response"].isna().any():
            raise ValueError(f"{key['policy']}: picks a number that was not sampled")
        texts.append(_texts(chosen.set_index("prompt_id").loc[order]))
        keys.append(key)
    texts.append(_chosen(params, paths, samples[["prompt_id", "source"]].drop_duplicates()))
    return [*keys, reference_key(SFT), reference_key(UNTUNED)], [*texts, ()]


def _chosen(params: Params, paths: Paths, prompts: pd.DataFrame) -> tuple[Text, ...]:
    """The chosen response of the first train pair of each prompt and source: as many texts as the picks are."""
    pairs = _read_pairs(params, paths, "train").drop_duplicates(["prompt_id", "source"])
    found = prompts.merge(pairs, on=["prompt_id", "source"], how="left")
    if found["chosen"].isna().any():
        lost = found.loc[found["chosen"].isna(), "prompt_id"].iloc[0]
        raise ValueError(f"samples hold prompt {lost}, which no train pair of its source has; sample the policy again")
    return _texts(found.assign(response=found["chosen"], finished=True))


def fine_tuning(params: Params, sft: Sft) -> FineTuning:
    """Params of a fine-tuning, as the trainer takes them."""
    lora = None if sft.lora is None else LoraSpec(sft.lora.rank, sft.lora.alpha, sft.lora.targets)
    return FineTuning(
        sft.batch_size, sft.epochs, sft.learning_rate, sft.warmup_ratio, lora, sft.checkpoint_steps,
        token_budget=token_budget(params), precision=params.rm.precision, seed=params.data.seed,
    )  # fmt: skip


def _settings(params: Params, paths: Paths, exam: Exam, texts: list[tuple[Text, ...]]) -> list[str]:
    """JSON of what each policy's responses were drawn with. transformers draws them: such a policy has no files."""
    align = params.align.model_copy(update={"sampler": "transformers"})
    shared = json.loads(generation_settings(params.model_copy(update={"align": align}), paths))
    names = ("batch_size", "epochs", "learning_rate", "warmup_ratio", "lora")
    tuning = {name: value for name, value in asdict(exam.sft).items() if name in names}
    return [
        json.dumps({**shared, "fine_tuning": {**tuning, "texts": texts_digest(own)} if own else None}) for own in texts
    ]


def _run(exam: Exam, names: list[str], texts: list[tuple[Text, ...]], folder: Path) -> list[PolicyResult]:
    digest = exam_digest(exam)
    files = [folder / f"{picks_digest(digest, picked)}.json" for picked in texts]
    # One job per file: reward models that pick the same samples make the same policy.
    missing = {
        str(file): PolicyJob(name, exam, picked, str(file))
        for file, name, picked in zip(files, names, texts, strict=True)
        if not file.exists()
    }
    preload = ("torch", "transformers", "more_repro.alignment.policies.policy")
    run_jobs(run_policy, list(missing.values()), "align policies", preload)
    return [read_result(file) for file in files]


def _exam(params: Params, paths: Paths, prompts: pd.DataFrame, truth: pd.DataFrame) -> Exam:
    align = params.align
    return Exam(
        base=str(paths.policy),
        prompts=tuple(prompts["prompt"]),
        texts=_texts(truth.assign(response=truth["chosen"], finished=True)),
        sft=fine_tuning(params, align.sft),
        temperature=align.temperature,
        max_new_tokens=align.max_new_tokens,
        generation_batch=generation_batch(params),
        max_length=params.rm.max_length,
    )


def _responses(key: Mapping[str, str | int], prompts: pd.DataFrame, result: PolicyResult) -> pd.DataFrame:
    return prompts.assign(
        **key,
        response=[one.text for one in result.responses],
        n_tokens=[one.n_tokens for one in result.responses],
        finished=[one.finished for one in result.responses],
    )


def _read_pairs(params: Params, paths: Paths, split: str) -> pd.DataFrame:
    """Pairs of the align sources, one below the other."""
    return pd.concat(
        [tables.read(paths.pairs(source, split), "pairs") for source in params.align.sources], ignore_index=True
    )


def _texts(rows: pd.DataFrame) -> tuple[Text, ...]:
    columns = rows["prompt"], rows["response"], rows["finished"]
    return tuple(Text(prompt, response, bool(done)) for prompt, response, done in zip(*columns, strict=True))


def _check_picks(policy: str, group: pd.DataFrame, order: pd.Series) -> None:
    if group["prompt_id"].duplicated().any() or set(group["prompt_id"]) != set(order):
        raise ValueError(f"{policy}: {len(group)} picks, one is needed for each of the {len(order)} sampled prompts")
