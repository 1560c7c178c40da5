"""transformers' Trainer with the loss of a step on response tokens alone, in micro-batches of a token budget."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer

from more_repro.lm.causal import batch_order, by_length, n_targets, token_losses
from more_repro.lm.encoding import Example
from more_repro.stats.random import numbered

_WEIGHTS = "model.safetensors"


class Steps(Dataset[dict[str, Any]]):
    """The examples of each optimizer step, cut into micro-batches; the order comes from the seed alone."""

    def __init__(self, examples: Sequence[Example], batch_size: int, steps: int, token_budget: int, seed: int) -> None:
        self.examples, self.token_budget = examples, token_budget
        self.order = batch_order(len(examples), batch_size, steps, numbered(seed))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, step: int) -> dict[str, Any]:
        batch = [self.examples[number] for number in self.order[step]]
        longest = max(len(example.ids) for example in batch)
        whole = longest * len(batch) <= self.token_budget
        parts = [batch] if whole else [[batch[n] for n in part] for part in by_length(batch, self.token_budget)]
        return {"parts": parts, "n_targets": sum(map(n_targets, batch))}


class ResponseTrainer(Trainer):
    """A step's loss is the mean over the response tokens of its whole batch, whatever micro-batches it is cut into.

    One process, one device. Checkpoints hold the weights that are trained; reading one is strict about their names.
    """

    precision: str = "fp32"

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        model.train()
        step = self.state.global_step + 1
        total = torch.zeros((), device=self.args.device)
        for part in inputs["parts"]:
            loss = self.compute_loss(model, {"examples": part}, num_items_in_batch=inputs["n_targets"])
            self.accelerator.backward(loss)
            total += loss.detach()
        if not math.isfinite(float(total)):
            raise FloatingPointError(f"loss is {float(total)} in step {step}")
        return total

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            losses, _ = token_losses(model, inputs["examples"])
        return losses.sum() / num_items_in_batch

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]  # the steps are in their order already

    def _clip_grad_norm(self, model: torch.nn.Module) -> Tensor:
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
        if not math.isfinite(float(norm)):
            raise FloatingPointError(f"gradient norm is {float(norm)} in step {self.state.global_step + 1}")
        return norm

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.detach().contiguous() for name, value in trained(self.model)}, folder / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        saved, weights = load_file(Path(resume_from_checkpoint) / _WEIGHTS), dict(trained(self.model))
        if saved.keys() != weights.keys():
            raise ValueError(f"{resume_from_checkpoint}: holds other weights than this training changes")
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(saved[name])


def only(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The one item of a batch: a whole optimizer step."""
    return items[0]


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights of a model that training changes, by name."""
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]
