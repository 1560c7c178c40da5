"""`make use PROFILE=tiny`: a preset becomes the active params.yaml, and no edit is lost on the way."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from more_repro.nb.project.terminal import tell
from more_repro.params import ParamsError, load_params, resolved_text


def use_preset(profile: str, *, force: bool, root: Path = Path()) -> int:
    """Show what changes, keep the old file as params.yaml.bak, write the whole of the preset. Returns 0.

    Raises ValueError for an unknown preset, and for a params.yaml that equals none of the presets (it holds edits)
    unless `force`; ParamsError for a preset that is not valid.
    """
    folder, active = root / "params", root / "params.yaml"
    presets = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if profile not in presets:
        raise ValueError(f"no preset {profile!r}; there are {', '.join(presets) or 'none'} (files of {folder}/)")
    load_params(presets[profile])
    new = resolved_text(presets[profile])
    old = active.read_text(encoding="utf-8") if active.exists() else ""
    if old == new:
        tell(f"params.yaml is the preset {profile} already")
        return 0
    names = ("params.yaml", f"params/{profile}.yaml")
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), *names, n=0, lineterm="")
    tell("\n".join(diff))
    if old and not force and old not in _texts(presets.values()):
        raise ValueError(
            "params.yaml holds edits that are in no preset; save them as params/<name>.yaml, "
            f"or drop them: make use PROFILE={profile} FORCE=1 (params.yaml.bak keeps them)"
        )
    if old:
        active.with_name("params.yaml.bak").write_text(old, encoding="utf-8")
    active.write_text(new, encoding="utf-8")
    tell(f"\nparams.yaml is now the preset {profile}; its results go to data/{profile}/. Next: make reproduce")
    return 0


def _texts(presets: Iterable[Path]) -> set[str]:
    """The whole text of every preset that is valid; a broken one of the user's own must not stop another."""
    found = set()
    for path in presets:
        try:
            found.add(resolved_text(path))
        except ParamsError:
            continue
    return found
