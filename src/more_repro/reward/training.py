"""Training one reward model: B pairs of each of K sources a step, lambda over the whole step, resumable to the bit."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from more_repro import progress
from more_repro.lm.bases import load_sequence_classifier, load_tokenizer
from more_repro.lm.device import pick_device, pinned_threads
from more_repro.reward import finished
from more_repro.reward.checkpoint import TrainingState, drop_checkpoints, load_checkpoint, save_checkpoint
from more_repro.reward.encoding import TokenSequences
from more_repro.reward.job import TrainJob, TrainResult, fingerprint
from more_repro.reward.model import on_device, save_reward_model
from more_repro.reward.optimizer import learning_rate_share, make_optimizer
from more_repro.reward.plan import Plan, make_plan
from more_repro.reward.step import StepOutcome, choose_mode, step_gradients
from more_repro.reward.weighting import Weighting, make_weighting

_QUIET_S = 20.0  # a training shorter than this reports by its stage's line alone


def train_reward_model(job: TrainJob, after_step: Callable[[int], None] | None = None) -> TrainResult:
    """Train, or reuse what an earlier run with the same fingerprint finished or began; the model goes to job.out.

    after_step: called with the number of steps done, for tests. Raises NonFiniteLossError at the step whose loss or
    gradient is not finite: the last good checkpoint stays.
    """
    key = fingerprint(job)
    kept = job.scratch / "finished" / key
    plan = make_plan(job)
    log = finished.load_log(kept, key)
    if log is None:
        with pinned_threads():
            log = _Trainer(job, plan, key).run(after_step, kept)
    finished.publish(kept, job.out)
    return _result(job, plan, log)


class _Trainer:
    """The state of one running training."""

    def __init__(self, job: TrainJob, plan: Plan, key: str) -> None:
        self.job, self.plan, self.key = job, plan, key
        self.model = on_device(load_sequence_classifier(job.base, job.model.seed), pick_device())
        self.optimizer = make_optimizer(self.model, job.rm.weight_decay)
        self.weighting: Weighting = make_weighting(job.scheme, len(job.sources), job.unique_pairs, job.model.seed)
        shape = (job.steps, len(job.sources))
        names = ("loss", "lambda", "margin", "head_gradient_norm")
        self.log = {name: torch.zeros(shape, dtype=torch.float64) for name in names}
        self.log |= {"learning_rate": torch.zeros(job.steps, dtype=torch.float64)}
        self.log |= {"n_tokens": torch.zeros(job.steps, 2, dtype=torch.int64)}

    @property
    def checkpoints(self) -> Path:
        return self.job.scratch / "checkpoints" / str(self.job.model)

    def run(self, after_step: Callable[[int], None] | None, kept: Path) -> dict[str, torch.Tensor]:
        """Train to the end from the newest checkpoint and keep the model under its fingerprint."""
        label, started = str(self.job.model), time.monotonic()
        line = progress.Progress(label, self.job.steps)
        for step in range(self._resume(), self.job.steps):
            self._step(step)
            done = step + 1
            if done % self.job.rm.checkpoint_steps == 0 and done < self.job.steps:
                save_checkpoint(self.checkpoints, self.key, self._state(done))
            if time.monotonic() - started > _QUIET_S:
                line.resume_at(step)
                line.step(note=f"loss {float(self.log['loss'][step].mean()):.3f}")
            if after_step is not None:
                after_step(done)
        self._finish(kept)
        return self.log

    def _step(self, step: int) -> None:
        share = learning_rate_share(
            step, self.job.steps, self.job.rm.warmup_ratio, self.job.rm.final_learning_rate_share
        )
        rate = self.job.learning_rate * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        try:
            outcome = self._gradients(self.plan.step_rows(step), self.plan.sequences)
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.job.rm.gradient_clip)
            if not math.isfinite(float(norm)):
                raise FloatingPointError(f"gradient norm is {float(norm)}")
        except FloatingPointError as error:
            error.add_note(f"in step {step + 1} of {self.job.steps} of {self.job.model}")
            raise
        self.optimizer.step()
        self._note(step, outcome, rate)

    def _gradients(self, rows: torch.Tensor, sequences: TokenSequences) -> StepOutcome:
        rm = self.job.rm
        n_tokens = int(sequences.lengths[rows].sum())
        mode = choose_mode(self.model.config, n_tokens, self.job.activation_limit_bytes)
        return step_gradients(
            self.model, sequences, rows, self.weighting,
            token_budget=rm.token_budget, mode=mode, precision=rm.precision,
        )  # fmt: skip

    def _note(self, step: int, outcome: StepOutcome, rate: float) -> None:
        self.log["loss"][step] = outcome.losses
        self.log["lambda"][step] = outcome.lambdas
        self.log["margin"][step] = outcome.margins
        self.log["head_gradient_norm"][step] = outcome.head_gradient_norms
        self.log["learning_rate"][step] = rate
        self.log["n_tokens"][step, 0], self.log["n_tokens"][step, 1] = outcome.n_tokens, outcome.n_padded_tokens

    def _state(self, step: int) -> TrainingState:
        return TrainingState(
            step, self.model.state_dict(), self.optimizer.state_dict(), self.weighting.state_dict(), self.log
        )

    def _resume(self) -> int:
        state = load_checkpoint(self.checkpoints, self.key)
        if state is None:
            return 0
        self.model.load_state_dict(state.model)
        now_groups = self.optimizer.state_dict()["param_groups"]
        groups = [
            {**now, "params": kept["params"]}
            for now, kept in zip(now_groups, state.optimizer["param_groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": state.optimizer["state"], "param_groups": groups})
        self.weighting.load_state_dict(state.weighting)
        self.log = state.log
        progress.say(f"{self.job.model}: resumed after step {state.step} of {self.job.steps}")
        return state.step

    def _finish(self, kept: Path) -> None:
        def fill(part: Path) -> None:
            save_reward_model(self.model, load_tokenizer(self.job.base), part)

        finished.keep(kept, self.key, fill, self.log)
        drop_checkpoints(self.checkpoints)


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
