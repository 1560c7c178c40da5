"""What each stage reads of the params, in a file of its own, so that a change re-runs the stages that read it alone.

DVC can follow a key of params.yaml, but not the names of a section without what stands under them, nor a default that
the file leaves out, nor whether a sweep asks for this model; and it would write every value into dvc.lock once for
every stage that reads it.
"""

import json
import shutil
from collections.abc import Mapping
from typing import Any

from more_repro.params import Params, RewardModelParams
from more_repro.paths import Paths
from more_repro.store.atomic import write_text

# Keys by stage; `*` stands for every name of a section, at the end for the names in their order and no more. Left out
# is what a file says that the stage depends on, and what changes no number (how often checkpoints are written).
_DRAWING = "data.seed rm.max_length rm.precision rm.token_budget"
_TRAINING = " ".join(
    ["regimes.*.learning_rate"]
    + [f"rm.{key}" for key in RewardModelParams.model_fields if key not in ("sweep", "checkpoint_steps")]
)
READS = {
    "prune": "bases.* schemes.*",
    "ingest": "sources data stats.confidence",
    "data_mixing": "sources.* data.seed data.pairs_per_source regimes.*.unique_pairs seeds",
    "diversity_statistics": "sources data.drift stats",
    "base": "bases.{base} data.seed rm.max_length",
    "reward_model_training": f"sources.* seeds schemes.{{scheme}} {_TRAINING}",
    "scoring": "sources.* regimes.* schemes roles seeds align.sources rm.max_length rm.precision",
    "calibration": "sources.* regimes.* bases.* schemes roles align.sources stats report.regime",
    "sampling": (
        "align.policy align.instructions align.sources align.train_prompts align.test_prompts align.samples_per_prompt "
        "align.temperature align.max_new_tokens align.sampler align.best_of.prompts align.best_of.samples data.folder "
        f"{_DRAWING}"
    ),
    "rjs_alignment": (
        f"sources.* regimes.* bases.* schemes roles seeds align judge.kind stats report.regime {_DRAWING}"
    ),
    "judging": f"sources.* bases.* schemes roles judge stats data.seed data.folder {_TRAINING}",
    "regression": "sources.* regimes bases.* schemes roles rm.sweep.counts align.sources stats",
    "report": " ".join(field.alias or name for name, field in Params.model_fields.items()),
    "publish": "report.folder",
}


def write_settings(params: Params, paths: Paths) -> None:
    """Replace the folder of settings by a file for each stage that the params ask for."""
    shutil.rmtree(paths.settings("x").parent, ignore_errors=True)
    for stage, read in stage_settings(params).items():
        write_text(paths.settings(stage), json.dumps(read, indent=1, ensure_ascii=False) + "\n")


def stage_settings(params: Params) -> dict[str, dict[str, Any]]:
    """By stage, the part of the params that its code reads, defaults filled in, in the order of the params."""
    whole = params.model_dump(mode="json")
    keys = {stage: words for stage, words in READS.items() if stage not in ("base", "reward_model_training", "scoring")}
    for base in params.bases:
        swept = params.rm.sweep.schemes if base in params.rm.sweep.bases else ()
        keys[f"base-{base}"] = READS["base"].format(base=base)
        keys[f"scoring-{base}"] = READS["scoring"] + (" rm.sweep.schemes rm.sweep.counts" if swept else "")
        for scheme in params.schemes:
            words = READS["reward_model_training"].format(scheme=scheme)
            keys[f"reward_model_training-{base}-{scheme}"] = words + (" rm.sweep.counts" if scheme in swept else "")
    return {stage: _part(whole, words.split()) for stage, words in keys.items()}


def _part(whole: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    part: dict[str, Any] = {}
    for key in keys:
        _merge(part, _under(whole, key.split(".")))
    return part


def _under(value: Any, path: list[str]) -> Any:
    """What stands at a path, within the keys on the way to it."""
    if not path:
        return value
    first, *rest = path
    if first == "*":
        return {name: _under(item, rest) for name, item in value.items()} if rest else list(value)
    return {first: _under(value[first], rest)}


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
