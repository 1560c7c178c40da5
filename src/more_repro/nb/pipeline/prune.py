"""Deletes outputs of bases and schemes that the params no longer ask for, so that folders hold the grid and no more.

DVC forgets a removed stage and leaves its files. Stages that read a whole folder would see them in its hash, and going
back to earlier params would find no cached result. The files themselves stay in DVC's cache.
"""

import shutil
from pathlib import Path

from more_repro.params import Params
from more_repro.paths import Paths, stage_names
from more_repro.store.atomic import write_text

MARK = "Written after folders were pruned. Stages that read whole folders wait for it; its text never changes.\n"


def prune(params: Params, paths: Paths) -> list[Path]:
    """Delete what belongs to no item of the grid, write the mark, and return what was deleted."""
    dead = [entry for folder, names in _expected(params, paths).items() for entry in _entries(folder, names)]
    for entry in dead:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    write_text(paths.pruned, MARK)
    return dead


def _expected(params: Params, paths: Paths) -> dict[Path, set[str]]:
    """The folders that several stages write to, with the names that may stand in each."""
    bases, schemes, stages = set(params.bases), set(params.schemes), stage_names(params)
    folders = {
        paths.base("x").parent: bases,
        paths.reward_models("x", "y").parents[1]: bases,
        paths.training_log("x", "y").parents[1]: bases,
        paths.scores("x").parent: {paths.scores(base).name for base in bases},
        paths.table("x", "y").parents[1]: set(stages),
        paths.notebook("x").parent: {paths.notebook(stage).name for stage in stages},
        paths.html("x").parent: {paths.html(stage).name for stage in stages},
        paths.run("x").parent: {paths.run(stage).name for stage in stages},
    }
    for base in bases:
        folders[paths.reward_models(base, "y").parent] = schemes
        folders[paths.training_log(base, "y").parent] = {paths.training_log(base, name).name for name in schemes}
    return folders


def _entries(folder: Path, expected: set[str]) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.name not in expected] if folder.is_dir() else []
