"""The training loop: schedule, step, clip, AdamW, log, checkpoints. It knows token pairs, and nothing of a study."""

import math
import time
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from more_repro import progress
from more_repro.engine.batching.activation_memory import memory_limit_bytes, step_memory, token_budget_of
from more_repro.engine.batching.attention import supports_rows
from more_repro.engine.batching.shared_prefix import MIN_PREFIX
from more_repro.engine.batching.step_layout import StepPairs, check_split
from more_repro.engine.config import MoreConfig
from more_repro.engine.distributed import ALONE, Group, copy_from_first, sum_gradients, wait_for_all
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.step import StepOutcome, step_gradients
from more_repro.engine.training_log import empty_log
from more_repro.lm.optimizer import linear_share, make_optimizer, set_learning_rate
from more_repro.store.checkpoint import (
    TrainingState,
    load_checkpoint,
    read_checkpoint,
    restore,
    save_checkpoint,
    state_of,
)


class Loop:
    """One training, from its newest checkpoint to its end.

    model: on its device and in eval mode, the same in every process of the group after construction. pairs: of every
    step; their number is the number of steps. args.checkpoints: a folder that all processes see; the first one writes
    there. fingerprint: what the numbers depend on, see `load_checkpoint`. A step that would need more memory than
    there is trades time for it, then has smaller micro-batches. Raises ValueError where a step's pairs cannot be split
    over the processes.
    """

    def __init__(
        self, model: PreTrainedModel, rule: StepRule, pairs: StepPairs, args: MoreConfig, *,
        name: str, fingerprint: str, group: Group = ALONE,
    ) -> None:  # fmt: skip
        check_split(int(pairs.chosen.shape[2]), group)
        self.model, self.rule, self.pairs, self.args = model, rule, pairs, args
        self.name, self.fingerprint, self.group = name, fingerprint, group
        copy_from_first(model.parameters(), group)
        self.optimizer = make_optimizer(model, args.weight_decay)
        self._token_budget = token_budget_of(args.token_budget, model.device, args.precision)
        self._limit_bytes = memory_limit_bytes(args.memory_limit_gib, model.device, model)
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
            if self.group.rank == 0 and time.monotonic() - started >= self.args.quiet_s:
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
            state = load_checkpoint(
                self.args.checkpoints, self.fingerprint, delete_foreign=self.args.scratch_checkpoints
            )
        found = int(self.group.sum(torch.tensor([state.step if state is not None else 0])))
        if found == 0:
            return 0
        self._restore(read_checkpoint(self.args.checkpoints, found) if state is None else state)
        wait_for_all(self.group)
        if self.group.rank == 0:
            progress.say(f"{self.name}: resumed after step {self.step} of {self.pairs.n_steps}")
        return self.step

    def _train_step(self, step: int) -> None:
        args, steps = self.args, self.pairs.n_steps
        rate = args.learning_rate * linear_share(step, steps, args.warmup_ratio, args.final_learning_rate_share)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            outcome = self._gradients(step)
            sum_gradients(self.model.parameters(), self.group)
            norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), args.max_grad_norm))
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
            token_budget=memory.token_budget, precision=self.args.precision, group=self.group,
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
        due = not self.args.scratch_checkpoints if last else self.step % self.args.save_steps == 0
        if due and self.group.rank == 0:
            save_checkpoint(self.args.checkpoints, self.fingerprint, self._state())

    def _state(self) -> TrainingState:
        memory = self.rule.weighting.state_dict()
        return state_of(self.model, self.optimizer, self.step, self.log, memory)

    def _restore(self, state: TrainingState) -> None:
        restore(self.model, self.optimizer, state)
        self.rule.weighting.load_state_dict(state.memory)
        self.log, self.step = state.log, state.step
