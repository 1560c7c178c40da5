"""Trains and scores reward models on K sources, with torch, transformers and accelerate alone (peft for LoRA).

`from more_repro.engine import MoreTrainer, MoreConfig, more` is the door for other projects.
"""

import importlib

# Where each public name lives. Imported when asked for: most users of this package need a part of it.
_PUBLIC = {"MoreTrainer": "trainer", "MoreConfig": "config", "LoraSpec": "lora", "more": "weighting.more"}

__all__ = ["LoraSpec", "MoreConfig", "MoreTrainer", "more"]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
