"""Fine-tuning a causal language model on responses, by the Trainer of transformers; resumable to the last bit."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from more_repro.alignment.policies.response_trainer import ResponseTrainer, Steps, only, trained
from more_repro.alignment.policies.trainer_checkpoints import SealCheckpoints, StepLine, newest_checkpoint
from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.lm.causal import GRADIENT_CLIP, cosine_share, n_targets
from more_repro.lm.device import pick_device, pinned_threads
from more_repro.lm.encoding import Example


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How a policy is fine-tuned. token_budget: tokens of a micro-batch, which changes a step by rounding alone.

    checkpoint_steps: steps between checkpoints; a shorter training writes none. lora: None trains every weight.
    """

    batch_size: int
    epochs: int
    learning_rate: float
    warmup_ratio: float
    lora: LoraSpec | None
    checkpoint_steps: int
    token_budget: int
    precision: Literal["fp32", "bf16"]
    seed: int

    def steps(self, n_examples: int) -> int:
        """Whole batches of the epochs, at least one."""
        return max(1, n_examples * self.epochs // self.batch_size)

    def facts(self) -> dict[str, Any]:
        """All that the weights depend on beside base, examples and code, for a fingerprint."""
        libraries = ["torch", "transformers", "accelerate", *(["peft"] if self.lora else [])]
        return {
            **{name: value for name, value in asdict(self).items() if name != "checkpoint_steps"},
            "device": pick_device().type,
            "versions": {name: version(name) for name in libraries},
        }


def fine_tune(
    model: PreTrainedModel,
    examples: Sequence[Example],
    settings: FineTuning,
    *,
    name: str,
    checkpoints: Path,
    fingerprint: str,
    after_step: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Train in place on pick_device() and return [step, loss, learning_rate], loss in nats per response token.

    AdamW without weight decay, warm-up and cosine, gradient norm clipped at 1, as `lm.causal.train_causal_lm`. Adapters
    are merged at the end. A run that was killed goes on from the newest whole checkpoint of this fingerprint under
    `checkpoints`; the caller deletes the folder once it has used the model. after_step: called with the steps done.
    Raises FloatingPointError at the step whose loss or gradient is not finite: its weights are not touched, and the
    last good checkpoint stays. Raises ValueError when no example has a token to predict.
    """
    usable = [example for example in examples if n_targets(example)]
    if not usable:
        raise ValueError(f"{name}: none of {len(examples)} examples has a token after its prompt")
    if settings.lora is not None:
        add_lora(model, settings.lora, settings.seed)
        for weight, value in model.named_parameters():
            value.requires_grad_(".lora_" in weight)
    try:
        with pinned_threads(), _quiet_trainer():
            found = newest_checkpoint(checkpoints, fingerprint, name)
            n_steps = settings.steps(len(usable))
            steps = Steps(usable, settings.batch_size, n_steps, settings.token_budget, settings.seed)
            trainer = _trainer(model, steps, settings, name, checkpoints, fingerprint, after_step)
            trainer.train(resume_from_checkpoint=None if found is None else str(found))
    except FloatingPointError as error:
        error.add_note(f"while {name} is fine-tuned")
        raise
    if settings.lora is not None:
        _merge(model)
    model.eval()
    rows = [(row["step"] - 1, row["loss"], row["learning_rate"]) for row in trainer.state.log_history if "loss" in row]
    return pd.DataFrame(rows, columns=["step", "loss", "learning_rate"])


@contextmanager
def _quiet_trainer() -> Iterator[None]:
    """Give transformers its own verbosity back afterwards, and keep the Trainer from searching the heap for garbage.

    It does so as it starts, which takes as long as half of a small policy's steps; frozen objects are not searched.
    """
    verbosity = logging.get_verbosity()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        logging.set_verbosity(verbosity)


def _trainer(
    model: PreTrainedModel,
    steps: Steps,
    settings: FineTuning,
    name: str,
    checkpoints: Path,
    fingerprint: str,
    after_step: Callable[[int], None] | None,
) -> Trainer:
    on_gpu = pick_device().type == "cuda"
    saves = len(steps) > settings.checkpoint_steps
    args = TrainingArguments(
        output_dir=str(checkpoints), per_device_train_batch_size=1, max_steps=len(steps), seed=settings.seed,
        max_grad_norm=GRADIENT_CLIP, weight_decay=0.0, learning_rate=settings.learning_rate, use_cpu=not on_gpu,
        logging_strategy="steps", logging_steps=1, logging_nan_inf_filter=False, report_to=[], disable_tqdm=True,
        log_level="error", save_strategy="steps" if saves else "no", save_steps=settings.checkpoint_steps,
        remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    _ = args.device
    args._n_gpu = min(args._n_gpu, 1)  # a worker has one GPU; DataParallel would split a step's dict
    model.to(args.device)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(
        [value for _, value in trained(model)], lr=settings.learning_rate, weight_decay=0.0, fused=True
    )
    # transformers' own schedule begins with a step of rate 0.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine_share(step, len(steps), settings.warmup_ratio) if step < len(steps) else 0.0
    )
    callbacks = [StepLine(name, after_step), SealCheckpoints(fingerprint)]
    trainer = ResponseTrainer(
        model=model, args=args, train_dataset=steps, data_collator=only, optimizers=(optimizer, schedule),
        callbacks=callbacks,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.precision = settings.precision
    return trainer


def _merge(model: PreTrainedModel) -> None:
    """Add the adapters to the weights they stand beside, and take them out."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # here: full fine-tuning needs no peft

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    model.requires_grad_(True)
