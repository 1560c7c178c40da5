"""Fine-tuning a policy on responses: all weights or adapters, by the loop that pretrains bases."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedModel

from more_repro.engine.lora import LoraSpec, add_lora
from more_repro.lm.causal import with_targets
from more_repro.lm.device import pick_device
from more_repro.lm.encoding import Example
from more_repro.lm.training import CausalTraining, Precision, train_causal_lm

_QUIET_S = 20.0  # a training shorter than this reports by its stage's line alone


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How a policy is fine-tuned, see CausalTraining. lora: None trains every weight."""

    batch_size: int
    epochs: int
    learning_rate: float
    warmup_ratio: float
    lora: LoraSpec | None
    checkpoint_steps: int
    token_budget: int
    precision: Precision
    seed: int

    def course(self, n_examples: int) -> CausalTraining:
        """Whole batches of the epochs, at least one."""
        return CausalTraining(
            batch_size=self.batch_size,
            steps=max(1, n_examples * self.epochs // self.batch_size),
            learning_rate=self.learning_rate,
            warmup_ratio=self.warmup_ratio,
            seed=self.seed,
            token_budget=self.token_budget,
            precision=self.precision,
            checkpoint_steps=self.checkpoint_steps,
        )

    def facts(self) -> dict[str, Any]:
        """All that the weights depend on beside base, examples and code, for a fingerprint."""
        libraries = ["torch", "transformers", *(["peft"] if self.lora else [])]
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

    Adapters are merged at the end. A run that was killed goes on from its newest whole checkpoint, and errors are those
    of `train_causal_lm`; the caller deletes the folder of checkpoints once it has used the model.
    """
    usable = with_targets(examples, name)
    model.to(pick_device())  # type: ignore[arg-type]
    if settings.lora is not None:
        add_lora(model, settings.lora, settings.seed)
        for weight, value in model.named_parameters():
            value.requires_grad_(".lora_" in weight)
    log = train_causal_lm(
        model, usable, settings.course(len(usable)), name=name, checkpoints=checkpoints, fingerprint=fingerprint,
        quiet_s=_QUIET_S, after_step=after_step,
    )  # fmt: skip
    if settings.lora is not None:
        _merge(model)
    return log


def _merge(model: PreTrainedModel) -> None:
    """Add the adapters to the weights they stand beside, and take them out."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # here: full fine-tuning needs no peft

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    model.requires_grad_(True)
