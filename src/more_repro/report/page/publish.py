"""The publish stage: copies the report and the notebooks' pages to report.folder, which git tracks.

The only stage whose outputs DVC does not cache, and so the only one that computes nothing.
"""

import shutil
import sys
from pathlib import Path

from more_repro.params import Params, ParamsError, load_params
from more_repro.paths import Paths, stage_names

PUBLISHED = ("index.html", "summary.json", "tables", "figures", "notebooks")


def publish(params: Params, paths: Paths) -> None:
    """Replace what report.folder holds by this profile's report; other files there are left alone.

    Pages of stages that the params no longer ask for stay behind in data/ and are not copied.
    """
    published = paths.root / params.report.folder
    published.mkdir(parents=True, exist_ok=True)
    for name in PUBLISHED:
        _remove(published / name)
    for item in sorted(paths.report.iterdir()):
        target = published / item.name
        if item.is_dir():
            shutil.copytree(item, target, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(item, target)
    pages = published / "notebooks"
    pages.mkdir(exist_ok=True)
    for stage in stage_names(params):
        shutil.copyfile(paths.html(stage), pages / f"{stage}.html")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> int:
    try:
        params = load_params()
        publish(params, Paths(params.profile))
    except ParamsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
