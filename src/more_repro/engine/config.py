"""The settings of MoreTrainer, under the names that a user of transformers' TrainingArguments knows."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from more_repro.engine.head_gradients import LambdaScope
from more_repro.engine.lora import LoraSpec
from more_repro.engine.objective import PairLoss
from more_repro.engine.weighting import Normalization, WeightingSpec

_WHOLE = ("per_source_batch_size", "max_length", "max_steps", "token_budget", "save_steps", "logging_steps", "seed")
# What a training's numbers do not depend on.
_NO_NUMBERS = ("output_dir", "save_steps", "logging_steps", "quiet_s", "scratch_checkpoints")


@dataclass(frozen=True, slots=True)
class MoreConfig:
    """How MoreTrainer trains.

    per_source_batch_size: pairs of each source in a step, over all processes together. num_train_epochs: passes over
    the largest source; smaller ones begin anew. max_steps: if given, the number of steps whatever the data.
    max_length: tokens of prompt and response; what is over is cut from the left. token_budget: tokens of a
    micro-batch, None for what suits the device; it changes no result. memory_limit_gib: for a step's activations, None
    for half of what weights and optimizer leave of the device; above it a step trades time for memory. bf16: the
    backbone's products; weights, head and lambda stay fp32. lora: train adapters and the head instead of all weights.
    weighting: more, uniform (vanilla mixing), fixed (with weights), or another of `engine.weighting`. alpha: share of
    the NEW head gradient in the smoothing. normalization: of the head gradients, none, l2, loss or l2_loss. None in
    either is the rule's own: 0.99 and l2 for more and frank_wolfe, 1 and none for the others, as in their papers.
    lambda_scope: over the whole batch, or micro_batch as the paper's code has it. losses: coefficients of terms that
    are added to Bradley-Terry, such as {"center": 0.01}; see `engine.losses`. quiet_s: seconds without a line of
    progress. scratch_checkpoints: checkpoints serve a resumption alone: none is written after the last step, and those
    of another training are deleted, not moved aside.
    Raises ValueError for a number that cannot be meant.
    """

    output_dir: str | Path
    learning_rate: float = 1e-5
    warmup_ratio: float = 0.05
    final_learning_rate_share: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    per_source_batch_size: int = 16
    num_train_epochs: float = 1.0
    max_steps: int | None = None
    max_length: int = 1024
    token_budget: int | None = None
    memory_limit_gib: float | None = None
    bf16: bool = False
    use_cpu: bool = False
    seed: int = 0
    save_steps: int = 500
    logging_steps: int = 10
    weighting: str = "more"
    alpha: float | None = None
    normalization: Normalization | None = None
    weights: tuple[float, ...] | None = None
    lambda_scope: LambdaScope = "batch"
    losses: Mapping[str, float] = field(default_factory=dict)
    lora: LoraSpec | None = None
    quiet_s: float = 0.0
    scratch_checkpoints: bool = False

    def __post_init__(self) -> None:
        self._check_kinds()
        positive = ("learning_rate", "max_grad_norm", "per_source_batch_size", "num_train_epochs", "max_length")
        for name in (*positive, "save_steps", "logging_steps", "token_budget", "max_steps", "memory_limit_gib"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, found {value}")
        for name in ("warmup_ratio", "final_learning_rate_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1], found {getattr(self, name)}")
        for name in ("weight_decay", "seed", "quiet_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, found {getattr(self, name)}")
        if self.lambda_scope not in ("batch", "micro_batch"):
            raise ValueError(f"lambda_scope is batch or micro_batch, found {self.lambda_scope!r}")
        self.pair_loss()

    def _check_kinds(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{item.name} must be a finite number, found {value}")
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{name} must be a whole number, found {value!r}")

    @property
    def precision(self) -> str:
        return "bf16" if self.bf16 else "fp32"

    def pair_loss(self) -> PairLoss:
        return PairLoss(self.losses)

    def weighting_spec(self) -> WeightingSpec:
        return WeightingSpec(self.weighting, self.alpha, self.normalization, self.weights)

    @property
    def checkpoints(self) -> Path:
        """The folder of a training's checkpoints."""
        return Path(self.output_dir) / "checkpoints"

    def numbers(self) -> dict[str, Any]:
        """The settings that a training's numbers depend on."""
        return {name: value for name, value in asdict(self).items() if name not in _NO_NUMBERS}
