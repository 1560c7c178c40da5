"""The code that runs must be that of the folder it runs in: dvc.lock records the digests of this folder's code."""

from pathlib import Path

import more_repro


def check_checkout(root: Path = Path()) -> None:
    """Raise ValueError where `root` holds a package of its own and another one was imported.

    A second clone, a worktree or a temporary copy in the environment of the first would run the first one's code.
    """
    own, loaded = root / "src" / "more_repro", Path(more_repro.__file__).parent
    if own.is_dir() and not own.samefile(loaded):
        raise ValueError(f"this folder's code is {own.resolve()}, and {loaded} was loaded: make env installs this one")
