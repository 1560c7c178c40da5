"""Low-rank adapters in the backbone, through peft, and the plain weights that they amount to."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

_ADAPTER = "default"


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Adapters of rank `rank`, scaled by alpha / rank. targets: names of layers, all-linear, or None
    for peft's choice.

    The reward head is always trained whole; dropout is 0, so that every pass of a step is the same function.
    Raises ValueError for a setting that cannot be meant.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] | Literal["all-linear"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.rank, int) or self.rank < 1:
            raise ValueError(f"lora: rank is a whole number from 1, found {self.rank!r}")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"lora: alpha must be above 0, found {self.alpha!r}")
        if isinstance(self.targets, str) and self.targets != "all-linear":
            raise ValueError(f"lora: targets are names in a tuple, or 'all-linear', found {self.targets!r}")
        if self.targets is not None and not len(self.targets):
            raise ValueError("lora: targets name no layer; None leaves the choice to peft")


def add_lora(model: PreTrainedModel, spec: LoraSpec, seed: int) -> None:
    """Put adapters into the model's backbone, freeze its weights, and leave the adapters and the head to train.

    seed: of the adapters' first values. Raises ValueError naming the targets where the model has none of them.
    """
    from peft import LoraConfig, inject_adapter_in_model  # here: the engine needs peft for this alone

    targets = list(spec.targets) if isinstance(spec.targets, tuple | list) else spec.targets
    alpha: Any = spec.alpha  # peft says int, and divides
    config = LoraConfig(r=spec.rank, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # peft draws first values from the global generator
        try:
            inject_adapter_in_model(config, model.base_model, adapter_name=_ADAPTER)
        except ValueError as error:
            kind = model.config.model_type
            raise ValueError(
                f"LoRA finds no place in a {kind} with targets {targets or 'left to peft'}: {error}"
            ) from None


def merged_state_dict(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The model's weights with adapters added in, under the names they have without adapters.

    The model itself is left as it is: merging into it and taking out again would change its weights' last bits.
    """
    merged = {}
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        layer_name, base, kind = name.rpartition(".base_layer.")
        if base and kind == "weight":
            delta = model.get_submodule(layer_name).get_delta_weight(_ADAPTER)  # type: ignore[operator]
            tensor = tensor + delta.to(tensor.dtype)
        merged[f"{layer_name}.{kind}" if base else name] = tensor.detach()
    return merged


def has_lora(model: torch.nn.Module) -> bool:
    """Whether adapters were put into the model."""
    return any(".lora_" in name for name, _ in model.named_parameters())
