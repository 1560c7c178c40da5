"""Pruning deletes what left the grid, and nothing else."""

from pathlib import Path

from more_repro.nb.pipeline.prune import prune
from more_repro.params import load_params
from more_repro.paths import Paths, stage_names

ROOT = Path(__file__).resolve().parents[2]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_only_what_left_the_grid_is_deleted(tmp_path: Path) -> None:
    params = load_params(ROOT / "params" / "tiny.yaml")
    paths = Paths(params.profile, tmp_path)
    kept = [touch(paths.pairs("helpful", "train")), touch(paths.mixture("balanced", 0)), touch(paths.corpus)]
    for base in params.bases:
        kept += [touch(paths.base(base) / "base.json"), touch(paths.scores(base))]
        for scheme in params.schemes:
            kept += [touch(paths.training_log(base, scheme))]
            kept += [touch(paths.reward_model(base, "balanced", scheme, "mixture", 0) / "model.safetensors")]
    for stage in stage_names(params):
        kept += [touch(paths.notebook(stage)), touch(paths.html(stage)), touch(paths.run(stage))]
        kept += [touch(paths.table(stage, "t"))]
    dead = [
        touch(paths.base("gone") / "base.json"),
        touch(paths.scores("gone")),
        touch(paths.reward_models("nano", "gone") / "m"),
        touch(paths.reward_models("gone", "more") / "m"),
        touch(paths.training_log("nano", "gone")),
        touch(paths.table("base-gone", "t")),
        touch(paths.html("reward_model_training-nano-gone")),
        touch(paths.run("base-gone")),
        touch(paths.notebook("scoring-gone")),
    ]
    other_profile = touch(Paths("other", tmp_path).base("gone") / "base.json")
    deleted = prune(params, paths)
    assert len(deleted) == len(dead)
    assert not [path for path in dead if path.exists()]
    assert all(path.exists() for path in [*kept, other_profile])
    mark = paths.pruned.read_bytes()
    assert prune(params, paths) == []
    assert paths.pruned.read_bytes() == mark


def test_nothing_to_prune_in_a_fresh_clone(tmp_path: Path) -> None:
    params = load_params(ROOT / "params" / "small.yaml")
    assert prune(params, Paths(params.profile, tmp_path)) == []
