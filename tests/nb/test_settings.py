"""A stage runs again for the parameters that it reads, and for no other."""

import json
from pathlib import Path

import pytest
import yaml

from more_repro.nb.pipeline.settings import stage_settings, write_settings
from more_repro.params import Params, load_params
from more_repro.paths import Paths, stage_names

PRESETS = ("tiny", "small", "study", "paper", "own")


@pytest.fixture
def params(root: Path) -> Params:
    return load_params(root / "params" / "small.yaml")


def edited(params: Params, key: str, value: object) -> Params:
    """The params with another value at a dotted key; a value of None takes a name out of its section."""
    raw = params.model_dump()
    *path, last = key.split(".")
    section = raw
    for name in path:
        section = section[name]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return Params.model_validate(raw)


def changed(before: Params, after: Params) -> set[str]:
    """Kinds of the stages whose settings differ, or the stage itself where only some of its kind do."""
    old, new = stage_settings(before), stage_settings(after)
    found = {stage for stage in old if old[stage] != new.get(stage, old[stage])}
    for kind in ("base", "reward_model_training", "scoring"):
        of_kind = {stage for stage in old.keys() & new.keys() if stage.startswith(f"{kind}-")}
        if of_kind <= found:
            found = (found - of_kind) | {kind}
    return found - {"report"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_stage_has_settings(root: Path, name: str) -> None:
    params = load_params(root / "params" / f"{name}.yaml")
    assert set(stage_settings(params)) == {*stage_names(params), "prune", "publish"}


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("report.title", "x", set()),
        ("report.regime", "balanced", {"calibration", "rjs_alignment"}),
        ("rm.checkpoint_steps", 7, set()),
        ("rm.epochs", 2, {"reward_model_training", "judging"}),
        ("rm.sweep.counts", (2,), {*(f"reward_model_training-tiny-{s}" for s in ("multitask", "more")), "scoring-tiny",
                                   "regression"}),
        ("rm.sweep.schemes", ("more",), {"reward_model_training-tiny-multitask", "scoring-tiny"}),
        ("schemes.more_slow.alpha", 0.1, {*(f"reward_model_training-{b}-more_slow" for b in ("tiny", "small")),
                                          "scoring", "calibration", "rjs_alignment", "judging", "regression"}),
        ("regimes.balanced.learning_rate", 1.0, {"reward_model_training", "judging", "regression"}),
        ("regimes.balanced.unique_pairs", {}, {"data_mixing", "regression"}),
        ("bases.small.pretrain.steps", 7, {"base-small"}),
        ("bases.small", None, {"prune", "calibration", "rjs_alignment", "judging", "regression"}),
        ("data.pairs_per_source", 1000, {"ingest", "data_mixing"}),
        ("align.best_of.schemes", ("more",), {"rjs_alignment"}),
        ("align.samples_per_prompt", 2, {"sampling", "rjs_alignment"}),
        ("judge.steps", 7, {"judging"}),
        ("roles", {"method": "more_slow"}, {"scoring", "calibration", "rjs_alignment", "judging", "regression"}),
        ("stats.bins", 20, {"diversity_statistics", "calibration", "rjs_alignment", "judging", "regression"}),
    ],
)  # fmt: skip
def test_a_change_is_in_the_settings_of_the_stages_that_read_it(
    params: Params, key: str, value: object, stages: set[str]
) -> None:
    assert changed(params, edited(params, key, value)) == stages


def test_the_order_of_sources_is_a_setting_where_only_their_names_are(params: Params) -> None:
    turned = params.model_copy(update={"sources": dict(reversed(params.sources.items()))})
    assert {"data_mixing", "reward_model_training", "scoring", "calibration"} <= changed(params, turned)


def test_a_removed_base_leaves_no_file(params: Params, tmp_path: Path) -> None:
    paths = Paths(params.profile, tmp_path)
    write_settings(params, paths)
    assert json.loads(paths.settings("base-small").read_text()) == stage_settings(params)["base-small"]
    write_settings(edited(params, "bases.small", None), paths)
    assert not paths.settings("base-small").exists()
    assert paths.settings("base-tiny").exists()


def test_equal_params_give_equal_bytes(params: Params, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_settings(params, Paths(params.profile, tmp_path / name))
    one, two = (sorted((tmp_path / name).rglob("*.json")) for name in ("a", "b"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_every_stage_depends_on_the_settings_of_its_name(root: Path) -> None:
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        stage = stage.get("do", stage)
        words = stage["cmd"].split()
        called = words[words.index("--stage") + 1] if "--stage" in words else name
        settings = [dep for dep in stage.get("deps", []) if "/settings/" in dep]
        assert settings == ([] if name in ("code", "inputs") else [f"data/${{profile}}/settings/{called}.json"]), name
