"""The training loop: schedule, step, clip, AdamW, log, checkpoints. It knows token pairs, and nothing of a study."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from more_repro import progress
from more_repro.engine.batching.activation_memory import memory_limit_bytes, step_memory, token_budget_of
from more_repro.engine.batching.attention import supports_rows
from more_repro.engine.batching.shared_prefix import MIN_PREFIX
from more_repro.engine.batching.step_layout import StepPairs, check_split
from more_repro.engine.checkpoint import TrainingState, load_checkpoint, read_checkpoint, save_checkpoint
from more_repro.engine.distributed import ALONE, Group, copy_from_first, sum_gradients, wait_for_all
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.optimizer import learning_rate_share, make_optimizer
from more_repro.engine.step import StepOutcome, step_gradients

PER_SOURCE = ("loss", "lambda", "margin", "head_gradient_norm")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The course of a training; the number of steps is that of its pairs.

    max_grad_norm: gradients are scaled down to this length. memory_limit_gib: for a step's activations, None for half
    of what weights and optimizer leave of the device; a step that would need more trades time for memory, then has
    smaller micro-batches. checkpoint_steps: steps between checkpoints. keep_last: write one after the last step too.
    delete_foreign: see `load_checkpoint`. quiet_s: seconds without a line of progress.
    """

    learning_rate: float
    warmup_ratio: float
    final_learning_rate_share: float
    weight_decay: float
    max_grad_norm: float
    checkpoint_steps: int
    token_budget: int | None = None
    memory_limit_gib: float | None = None
    precision: str = "fp32"
    keep_last: bool = False
    delete_foreign: bool = False
    quiet_s: float = 0.0


class Loop:
    """One training, from its newest checkpoint to its end.

    model: on its device and in eval mode, the same in every process of the group after construction. checkpoints: a
    folder that all processes see; the first one writes there. fingerprint: what the numbers depend on, see
    `load_checkpoint`. Raises ValueError where a step's pairs cannot be split over the processes.
    """

    def __init__(
        self, model: PreTrainedModel, rule: StepRule, pairs: StepPairs, settings: LoopSettings, *,
        name: str, checkpoints: Path, fingerprint: str, group: Group = ALONE,
    ) -> None:  # fmt: skip
        check_split(int(pairs.chosen.shape[2]), group)
        self.model, self.rule, self.pairs, self.settings = model, rule, pairs, settings
        self.name, self.checkpoints, self.fingerprint, self.group = name, checkpoints, fingerprint, group
        copy_from_first(model.parameters(), group)
        self.optimizer = make_optimizer(model, settings.weight_decay)
        self._token_budget = token_budget_of(settings.token_budget, model.device, settings.precision)
        self._limit_bytes = memory_limit_bytes(settings.memory_limit_gib, model.device, model)
        self._said_too_large = False
        self.log = empty_log(pairs.n_steps, pairs.n_sources)
        self.step = 0

    def run(self, after_step: Callable[[int], None] | None = None) -> dict[str, torch.Tensor]:
        """Train to the end and return the log, see `empty_log`.

        after_step: called with the number of steps done. Raises NonFiniteLossError or FloatingPointError at the step
        whose loss or gradient is not finite, before the weights are touched: the last good checkpoint stays.
        """
        started = time.monotonic()
        line = progress.Progress(self.name, self.pairs.n_steps)
        line.resume_at(self.step)
        while self.step < self.pairs.n_steps:
            self._train_step(self.step)
            self.step += 1
            self._save()
            if self.group.rank == 0 and time.monotonic() - started >= self.settings.quiet_s:
                line.resume_at(self.step - 1)
                line.step(note=f"loss {float(self.log['loss'][self.step - 1].mean()):.3f}")
            if after_step is not None:
                after_step(self.step)
        wait_for_all(self.group)
        return self.log

    def resume(self) -> int:
        """Take up the newest whole checkpoint with this fingerprint; returns the steps done, 0 where there is none.

        The first process decides, and the others read what it found.
        """
        state = None
        if self.group.rank == 0:
            state = load_checkpoint(self.checkpoints, self.fingerprint, delete_foreign=self.settings.delete_foreign)
        found = int(self.group.sum(torch.tensor([state.step if state is not None else 0])))
        if found == 0:
            return 0
        self._restore(read_checkpoint(self.checkpoints, found) if state is None else state)
        wait_for_all(self.group)
        if self.group.rank == 0:
            progress.say(f"{self.name}: resumed after step {self.step} of {self.pairs.n_steps}")
        return self.step

    def _train_step(self, step: int) -> None:
        settings, steps = self.settings, self.pairs.n_steps
        share = learning_rate_share(step, steps, settings.warmup_ratio, settings.final_learning_rate_share)
        rate = settings.learning_rate * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        try:
            outcome = self._gradients(step)
            sum_gradients(self.model.parameters(), self.group)
            norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm))
            if not math.isfinite(norm):
                raise FloatingPointError(f"gradient norm is {norm}")
        except (FloatingPointError, ValueError) as error:
            error.add_note(f"in step {step + 1} of {steps} of {self.name}")
            raise
        self.optimizer.step()
        self._note(step, outcome, rate)

    def _gradients(self, step: int) -> StepOutcome:
        rows, prefixes = self.pairs.share(step, self.group)
        lengths = self.pairs.sequences.lengths[rows]
        memory = step_memory(
            self.model.config, int(lengths.sum()), widest=self._widest(lengths, prefixes),
            token_budget=self._token_budget, limit_bytes=self._limit_bytes,
        )  # fmt: skip
        if not memory.fits and not self._said_too_large:
            self._said_too_large = True
            progress.say(
                f"{self.name}: the longest pair of step {step + 1} alone needs more than the {self._limit_bytes >> 20} "
                "MiB that activations may take; it is tried all the same"
            )
        return step_gradients(
            self.model, self.pairs.sequences, rows, self.rule, prefix_lengths=prefixes, mode=memory.mode,
            token_budget=memory.token_budget, precision=self.settings.precision, group=self.group,
        )  # fmt: skip

    def _widest(self, lengths: torch.Tensor, prefixes: torch.Tensor) -> int:
        """Tokens of the longest sequence, or pair that shares a row; lengths (2, K, B), prefixes (K, B)."""
        if not supports_rows(self.model):
            return int(lengths.max())
        return int(torch.where(prefixes >= MIN_PREFIX, lengths.sum(dim=0) - prefixes, lengths.amax(dim=0)).max())

    def _note(self, step: int, outcome: StepOutcome, rate: float) -> None:
        self.log["loss"][step] = outcome.losses
        self.log["lambda"][step] = outcome.lambdas
        self.log["margin"][step] = outcome.margins
        self.log["head_gradient_norm"][step] = outcome.head_gradient_norms
        self.log["learning_rate"][step] = rate
        self.log["n_tokens"][step] = self.group.sum(torch.tensor([outcome.n_tokens, outcome.n_padded_tokens]))

    def _save(self) -> None:
        last = self.step == self.pairs.n_steps
        due = self.settings.keep_last if last else self.step % self.settings.checkpoint_steps == 0
        if due and self.group.rank == 0:
            save_checkpoint(self.checkpoints, self.fingerprint, self._state())

    def _state(self) -> TrainingState:
        trained = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        weighting = self.rule.weighting.state_dict()
        return TrainingState(self.step, trained, self.optimizer.state_dict(), weighting, self.log)

    def _restore(self, state: TrainingState) -> None:
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, tensor in state.model.items():
                parameters[name].copy_(tensor)
        now_groups = self.optimizer.state_dict()["param_groups"]
        groups = [
            {**now, "params": kept["params"]}
            for now, kept in zip(now_groups, state.optimizer["param_groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": state.optimizer["state"], "param_groups": groups})
        self.rule.weighting.load_state_dict(state.weighting)
        self.log, self.step = state.log, state.step


def empty_log(steps: int, n_sources: int) -> dict[str, torch.Tensor]:
    """The log of a training before its first step: per source (steps, K) float64 losses, lambdas, margins and lengths
    of head gradients; learning_rate (steps,); n_tokens (steps, 2), real and padded, of all processes."""
    log = {name: torch.zeros(steps, n_sources, dtype=torch.float64) for name in PER_SOURCE}
    log["learning_rate"] = torch.zeros(steps, dtype=torch.float64)
    log["n_tokens"] = torch.zeros(steps, 2, dtype=torch.int64)
    return log
