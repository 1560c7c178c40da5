"""TRL's RewardTrainer, its own training loop, on pairs that are already tokens; one optimizer step a turn."""

import contextlib
import io
import math
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, TrainerCallback, logging
from trl import RewardConfig, RewardTrainer

from pair_tokens import Steps
from shapes import Shape, make_model, pad_only_tokenizer
from turns import Turn


class _Sliced:
    """A batch sampler: the pairs of each step in order, cut into micro-batches; the last of a step may be smaller."""

    def __init__(self, n_steps: int, pairs: int, micro_batch: int) -> None:
        self._cuts = [
            list(range(step * pairs + start, min(step * pairs + start + micro_batch, (step + 1) * pairs)))
            for step in range(n_steps)
            for start in range(0, pairs, micro_batch)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._cuts)

    def __len__(self) -> int:
        return len(self._cuts)


class _Trainer(RewardTrainer):
    """RewardTrainer that takes the given micro-batches instead of drawing its own."""

    micro_batches: _Sliced

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(self.train_dataset, batch_sampler=self.micro_batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


class _Turns(TrainerCallback):
    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self._turn.wait():
            self._turn.begin()
        else:
            control.should_training_stop = True
            raise _Stopped

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._turn.end()


class _Stopped(Exception):
    """No more turns."""


def run(
    turn: Turn, shape: Shape, steps: Steps, micro_batch: int, precision: str, checkpointing: bool, seed: int
) -> None:
    """Train with micro-batches of so many pairs, accumulated to a whole step. Says its rewards of the first pairs."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pairs = [pair for step in range(len(steps.rows)) for pair in steps.pairs(step)]
    per_step = steps.rows[0][0].numel()
    model = make_model(shape, seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = _Trainer(
            model=model,
            args=_config(folder, turn.device, len(steps.rows), per_step, micro_batch, precision, checkpointing),
            train_dataset=Dataset.from_dict(
                {"chosen_ids": [a for a, _ in pairs], "rejected_ids": [b for _, b in pairs]}
            ),
            processing_class=pad_only_tokenizer(),
            callbacks=[_Turns(turn)],
        )
        trainer.micro_batches = _Sliced(len(steps.rows), per_step, micro_batch)
        turn.connection.send({"rewards": _rewards(trainer, model, turn.device)})
        with contextlib.suppress(_Stopped):
            trainer.train()


def _config(
    folder: str,
    device: torch.device,
    n_steps: int,
    pairs: int,
    micro_batch: int,
    precision: str,
    checkpointing: bool,
) -> RewardConfig:
    return RewardConfig(
        output_dir=folder, max_steps=n_steps, per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=math.ceil(pairs / micro_batch), activation_checkpointing=checkpointing,
        bf16=precision == "bf16", max_length=None, optim="adamw_torch_fused", learning_rate=1e-5, weight_decay=0.0,
        lr_scheduler_type="constant", max_grad_norm=1.0, logging_steps=10_000, save_strategy="no", report_to="none",
        disable_tqdm=True, use_cpu=device.type == "cpu",
    )  # fmt: skip


@torch.no_grad()
def _rewards(trainer: RewardTrainer, model: PreTrainedModel, device: torch.device) -> list[float]:
    """Rewards of the first five pairs, chosen then rejected, by the trainer's own collator and forward pass."""
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(5)])
    return model(**{name: value.to(device) for name, value in batch.items()}).logits[:, 0].float().tolist()
