from more_repro.engine.config import MoreConfig as MoreConfig
from more_repro.engine.lora import LoraSpec as LoraSpec
from more_repro.engine.trainer import MoreTrainer as MoreTrainer
from more_repro.engine.weighting.more import more as more
