"""Training a causal language model on the tokens after a prompt: how bases are pretrained and policies fine-tuned."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from more_repro import progress
from more_repro.lm.causal import by_length, n_targets, token_losses, with_targets
from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import Example
from more_repro.lm.optimizer import cosine_share, make_optimizer, set_learning_rate
from more_repro.stats.random import numbered
from more_repro.store.checkpoint import TrainingState, load_checkpoint, restore, save_checkpoint, state_of

GRADIENT_CLIP = 1.0
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class CausalTraining:
    """The course of a training.

    A step takes batch_size examples, drawn by the seed alone: pass after pass, each in an order of its own.
    learning_rate: the peak, after a linear warm-up over warmup_ratio of the steps and before a cosine to zero.
    token_budget: tokens of a micro-batch; a batch is padded to its longest example and cut only above it, which changes
    a step by rounding alone. precision: bf16 is for the model's products, weights stay fp32. checkpoint_steps: steps
    between checkpoints; a training of no more steps writes none, any other one after its last step too.
    """

    batch_size: int
    steps: int
    learning_rate: float
    warmup_ratio: float
    seed: int
    token_budget: int = 65536
    precision: Precision = "fp32"
    checkpoint_steps: int = 1000


def train_causal_lm(
    model: PreTrainedModel,
    examples: Sequence[Example],
    settings: CausalTraining,
    *,
    name: str,
    checkpoints: Path | None = None,
    fingerprint: str = "",
    quiet_s: float = 0.0,
    after_step: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Train in place where the model lies; return [step, loss, learning_rate], loss in nats per token of the step.

    The loss is the mean over the batch's tokens after their prompts. AdamW without weight decay, gradient norm clipped
    at GRADIENT_CLIP; weights that need no gradient stay as they are. checkpoints: a folder, or None for a training that
    begins anew after a kill; with it, a run that was killed goes on from the newest whole checkpoint of this
    fingerprint, to the same weights to the last bit on CPU. The caller deletes the folder once it has used the model.
    quiet_s: seconds without a line of progress. after_step: called with the number of steps done.
    Raises ValueError where no example has a token to predict, and FloatingPointError at the step whose loss or gradient
    is not finite, before the weights are touched: the last good checkpoint stays.
    """
    usable = with_targets(examples, name)
    loop = _Loop(model, usable, settings, name, checkpoints, fingerprint)
    devices = [model.device] if model.device.type == "cuda" else []
    with pinned_threads(), torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)  # dropout draws from the global generators
        loop.resume()
        model.train()
        loop.run(quiet_s, after_step)
    model.eval()
    log = {name: loop.log[name].numpy() for name in ("loss", "learning_rate")}
    return pd.DataFrame({"step": np.arange(settings.steps), **log})


class _Loop:
    """One training, from its newest checkpoint to its end."""

    def __init__(
        self,
        model: PreTrainedModel,
        examples: Sequence[Example],
        settings: CausalTraining,
        name: str,
        checkpoints: Path | None,
        fingerprint: str,
    ) -> None:
        self.model, self.examples, self.settings, self.name = model, examples, settings, name
        self.checkpoints, self.fingerprint = checkpoints, fingerprint
        self.order = batch_order(len(examples), settings.batch_size, settings.steps, numbered(settings.seed))
        self.optimizer = make_optimizer(model, weight_decay=0.0)
        self.log = {name: torch.zeros(settings.steps, dtype=torch.float64) for name in ("loss", "learning_rate")}
        self.step = 0

    def resume(self) -> None:
        if self.checkpoints is None:
            return
        state = load_checkpoint(self.checkpoints, self.fingerprint, delete_foreign=True)
        if state is not None:
            restore(self.model, self.optimizer, state)
            _set_random_state(self.model.device, state.memory)
            self.step, self.log = state.step, state.log
            progress.say(f"{self.name}: resumed after step {self.step} of {self.settings.steps}")

    def run(self, quiet_s: float, after_step: Callable[[int], None] | None) -> None:
        started, line = time.monotonic(), progress.Progress(self.name, self.settings.steps)
        while self.step < self.settings.steps:
            try:
                loss = self._train_step(self.step)
            except FloatingPointError as error:
                error.add_note(f"in step {self.step + 1} of {self.settings.steps} of {self.name}")
                raise
            self.step += 1
            self._save()
            if time.monotonic() - started >= quiet_s:
                line.resume_at(self.step - 1)
                line.step(note=f"loss {loss:.3f}")
            if after_step is not None:
                after_step(self.step)

    def _train_step(self, step: int) -> float:
        settings, batch = self.settings, [self.examples[number] for number in self.order[step]]
        rate = settings.learning_rate * cosine_share(step, settings.steps, settings.warmup_ratio)
        set_learning_rate(self.optimizer, rate)
        loss = add_gradient(self.model, batch, settings.token_budget, settings.precision)
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss is {loss}")
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_CLIP))
        if not math.isfinite(norm):
            raise FloatingPointError(f"gradient norm is {norm}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.log["loss"][step], self.log["learning_rate"][step] = loss, rate
        return loss

    def _save(self) -> None:
        steps, every = self.settings.steps, self.settings.checkpoint_steps
        due = self.step % every == 0 or self.step == steps
        if self.checkpoints is not None and steps > every and due:
            save_checkpoint(self.checkpoints, self.fingerprint, self._state())

    def _state(self) -> TrainingState:
        return state_of(self.model, self.optimizer, self.step, self.log, _random_state(self.model.device))


def add_gradient(
    model: PreTrainedModel, batch: Sequence[Example], token_budget: int, precision: Precision = "fp32"
) -> float:
    """Add the gradient of the batch's mean token loss to the parameters' .grad; return that loss."""
    longest = max(len(example.ids) for example in batch)
    whole = [list(range(len(batch)))]
    parts = whole if longest * len(batch) <= token_budget else by_length(batch, token_budget)
    total, loss = sum(n_targets(example) for example in batch), torch.zeros((), device=model.device)
    for part in parts:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            losses, _ = token_losses(model, [batch[number] for number in part])
        part_loss = losses.sum() / total
        part_loss.backward()
        loss += part_loss.detach()
    return float(loss)


def batch_order(n: int, batch_size: int, steps: int, random: np.random.Generator) -> np.ndarray:
    """Numbers of shape (steps, batch_size): whole permutations of the n examples, one after the other."""
    passes = math.ceil(steps * batch_size / n)
    stream = np.concatenate([random.permutation(n) for _ in range(passes)])
    return stream[: steps * batch_size].reshape(steps, batch_size)


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of the generators that dropout draws from."""
    state = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        state["random_cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(device: torch.device, state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["random_cuda"], device)
