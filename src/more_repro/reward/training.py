"""Training one reward model of the study with the engine: B pairs of each of K sources a step, resumable to the bit."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel

from more_repro.engine.checkpoint import drop_checkpoints
from more_repro.engine.distributed import ALONE, Group, Processes, wait_for_all
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.loop import Loop, LoopSettings
from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.engine.model import on_device, save_reward_model
from more_repro.engine.objective import PairLoss
from more_repro.engine.weighting import make_weighting
from more_repro.lm.bases import load_sequence_classifier, load_tokenizer
from more_repro.lm.device import pick_device, pinned_threads
from more_repro.reward import model_store
from more_repro.reward.jobs import TrainJob, TrainResult, fingerprint, weighting_spec
from more_repro.reward.step_plan import Plan, make_plan

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
    kept = job.scratch / "finished" / key
    plan = make_plan(job)
    log = model_store.load_log(kept, key)
    everywhere = int(group.sum(torch.tensor([int(log is not None)]))) == group.size
    if log is None or not everywhere:
        check_processes(job, group)
        with pinned_threads():
            log = _train(job, plan, key, kept, after_step, group)
    if group.rank == 0:
        model_store.publish(kept, job.out)
    return _result(job, plan, log)


def is_finished(job: TrainJob) -> bool:
    """Whether a model with the job's fingerprint lies whole in scratch."""
    key = fingerprint(job)
    return model_store.load_log(job.scratch / "finished" / key, key) is not None


def check_processes(job: TrainJob, group: Group) -> None:
    """Raise RuntimeError where a training would run on another number of processes than its numbers are named for."""
    if group.size != job.rm.processes:
        raise RuntimeError(
            f"{job.model}: this training runs on {group.size} process(es), rm.processes asks for {job.rm.processes}"
        )


def step_rule(job: TrainJob) -> StepRule:
    """How the scheme of a job makes a step's loss of its pairs."""
    scheme = job.scheme
    weighting = make_weighting(weighting_spec(job), len(job.sources), job.unique_pairs, job.model.seed)
    loss = PairLoss(scheme.losses)
    return StepRule(weighting, loss, scheme.lambda_scope)


def loop_settings(job: TrainJob) -> LoopSettings:
    """The params of reward-model training as the engine takes them."""
    rm = job.rm
    return LoopSettings(
        learning_rate=job.learning_rate,
        warmup_ratio=rm.warmup_ratio,
        final_learning_rate_share=rm.final_learning_rate_share,
        weight_decay=rm.weight_decay,
        max_grad_norm=rm.gradient_clip,
        checkpoint_steps=rm.checkpoint_steps,
        token_budget=rm.token_budget,
        memory_limit_gib=rm.memory_limit_gib,
        precision=rm.precision,
        delete_foreign=True,
        quiet_s=_QUIET_S,
    )


def checkpoints_of(job: TrainJob) -> Path:
    """Where the checkpoints of an unfinished training lie."""
    return job.scratch / "checkpoints" / str(job.model)


def _train(
    job: TrainJob, plan: Plan, key: str, kept: Path, after_step: Callable[[int], None] | None, group: Group
) -> dict[str, torch.Tensor]:
    """Train to the end from the newest checkpoint and keep the model under its fingerprint."""
    model = _model(job, group.device if isinstance(group, Processes) else pick_device())
    loop = Loop(
        model, step_rule(job), plan.pairs, loop_settings(job),
        name=str(job.model), checkpoints=checkpoints_of(job), fingerprint=key, group=group,
    )  # fmt: skip
    loop.resume()
    log = loop.run(after_step)

    def fill(part: Path) -> None:
        save_reward_model(model, load_tokenizer(job.base), part)

    if group.rank == 0:
        model_store.keep(kept, key, fill, log)
        drop_checkpoints(checkpoints_of(job))
    wait_for_all(group)
    return log


def _model(job: TrainJob, device: torch.device) -> PreTrainedModel:
    model = load_sequence_classifier(job.base, job.model.seed)
    if job.rm.lora is not None:
        add_lora(model, LoraSpec(job.rm.lora.rank, job.rm.lora.alpha, job.rm.lora.targets), job.model.seed)
    return on_device(model, device)


def _result(job: TrainJob, plan: Plan, log: dict[str, torch.Tensor]) -> TrainResult:
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
