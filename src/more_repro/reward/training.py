"""Training one reward model of the study, by MoreTrainer: B pairs of each of K sources a step, resumable to the bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from more_repro.engine.config import MoreConfig
from more_repro.engine.distributed import ALONE, Group, wait_for_all
from more_repro.engine.lora import LoraSpec
from more_repro.engine.model import save_reward_model
from more_repro.engine.trainer import MoreTrainer
from more_repro.engine.training_plan import TrainingPlan
from more_repro.lm.bases import load_sequence_classifier, load_tokenizer
from more_repro.lm.device import pinned_threads
from more_repro.reward import model_store
from more_repro.reward.jobs import TrainJob, TrainResult, fingerprint
from more_repro.reward.step_plan import make_plan

_QUIET_S = 20.0  # a training shorter than this reports by its stage's line alone


def train_reward_model(
    job: TrainJob, after_step: Callable[[int], None] | None = None, group: Group = ALONE
) -> TrainResult:
    """Train, or reuse what an earlier run with the same fingerprint finished or began; the model goes to job.out.

    after_step: called with the number of steps done, for tests. group: the rm.processes that train together.
    Raises NonFiniteLossError at the step whose loss or gradient is not finite: the last good checkpoint stays.
    Raises RuntimeError where training is needed and the group has another size than rm.processes.
    """
    key = fingerprint(job)
    kept, args = _kept(job, key), training_settings(job)
    plan = make_plan(job, args)
    log = model_store.load_log(kept, key)
    everywhere = int(group.sum(torch.tensor([int(log is not None)]))) == group.size
    if log is None or not everywhere:
        check_processes(job, group)
        with pinned_threads():
            log = _train(job, args, plan, key, after_step, group)
    if group.rank == 0:
        model_store.publish(kept, job.out)
    return _result(job, plan, log)


def is_finished(job: TrainJob) -> bool:
    """Whether a model with the job's fingerprint lies whole in scratch."""
    key = fingerprint(job)
    return model_store.load_log(_kept(job, key), key) is not None


def check_processes(job: TrainJob, group: Group) -> None:
    """Raise RuntimeError where a training would run on another number of processes than its numbers are named for."""
    if group.size != job.rm.processes:
        raise RuntimeError(
            f"{job.model}: this training runs on {group.size} process(es), rm.processes asks for {job.rm.processes}"
        )


def training_settings(job: TrainJob) -> MoreConfig:
    """A job's params as the trainer takes them; the weights of `fixed` in the order of the job's sources."""
    rm, scheme = job.rm, job.scheme
    return MoreConfig(
        output_dir=job.scratch / "unfinished" / str(job.model),
        learning_rate=job.learning_rate,
        warmup_ratio=rm.warmup_ratio,
        final_learning_rate_share=rm.final_learning_rate_share,
        weight_decay=rm.weight_decay,
        max_grad_norm=rm.gradient_clip,
        per_source_batch_size=rm.pairs_per_source_per_batch,
        max_steps=job.steps,
        max_length=rm.max_length,
        token_budget=rm.token_budget,
        memory_limit_gib=rm.memory_limit_gib,
        bf16=rm.precision == "bf16",
        seed=job.model.seed,
        save_steps=rm.checkpoint_steps,
        weighting=scheme.weighting,
        alpha=scheme.alpha,
        normalization=scheme.normalization,
        weights=None if scheme.weights is None else tuple(scheme.weights[source] for source in job.sources),
        lambda_scope=scheme.lambda_scope,
        losses=scheme.losses,
        lora=None if rm.lora is None else LoraSpec(rm.lora.rank, rm.lora.alpha, rm.lora.targets),
        quiet_s=_QUIET_S,
        scratch_checkpoints=True,
    )


def _kept(job: TrainJob, key: str) -> Path:
    """Where the finished model lies."""
    return job.scratch / "finished" / key


def _train(
    job: TrainJob,
    args: MoreConfig,
    plan: TrainingPlan,
    key: str,
    after_step: Callable[[int], None] | None,
    group: Group,
) -> dict[str, torch.Tensor]:
    """Train to the end from the newest checkpoint and keep the model under its fingerprint."""
    model, tokenizer = load_sequence_classifier(job.base, job.model.seed), load_tokenizer(job.base)
    trainer = MoreTrainer.from_plan(model, args, plan, tokenizer, name=str(job.model), fingerprint=key, group=group)
    trainer.train(resume_from_checkpoint=True, after_step=after_step)
    if group.rank == 0:
        model_store.keep(_kept(job, key), key, lambda part: save_reward_model(model, tokenizer, part), trainer.log)
        shutil.rmtree(args.output_dir, ignore_errors=True)
    wait_for_all(group)
    return trainer.log


def _result(job: TrainJob, plan: TrainingPlan, log: dict[str, torch.Tensor]) -> TrainResult:
    real, padded = log["n_tokens"].sum(dim=0).tolist()
    return TrainResult(
        model=job.model,
        sources=job.sources,
        n_steps=job.steps,
        n_pairs=job.steps * len(job.sources) * job.rm.pairs_per_source_per_batch,
        n_tokens=real,
        padding_share=1 - real / padded,
        n_truncated_pairs=plan.n_truncated,
        n_equal_pairs=plan.n_equal,
        log={name: tensor.tolist() for name, tensor in log.items() if name != "n_tokens"},
    )
