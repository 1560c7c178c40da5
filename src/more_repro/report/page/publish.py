"""The report for people: the reading copy that git holds, and the whole of it as a folder for a web site or a release.

The stage `publish` writes the reading copy: the page, its figures, the paper's tables, the summary. What else the run
made (numbers behind figures, further tables, notebooks) would grow git's history by megabytes with every run.
"""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from more_repro.params import Params
from more_repro.paths import Paths, stage_names
from more_repro.report.html import DATA, paragraph
from more_repro.store.atomic import write_text

PUBLISHED = ("index.html", "summary.json", "tables", "figures", "notebooks")
NOTE = (
    "This is the reading copy: the numbers behind the figures, further tables as CSV and the notebooks as they ran are "
    "made by the run (make reproduce) and laid out with this page by make publish."
)
_CONTENTS = '<nav aria-label="Contents">'
_LINK = re.compile(r'<a href="([^"#:]+)">(.*?)</a>')


def publish_reading_copy(params: Params, paths: Paths) -> None:
    """Replace what report.folder holds by the reading copy of this profile's report; other files there are left alone.

    Raises ValueError where there is no report.
    """
    report, folder = _report_of(paths), paths.root / params.report.folder
    _empty(folder)
    shown = [*report.glob("figures/*.svg"), *report.glob("tables/table*.csv"), report / "summary.json"]
    names = [path.relative_to(report) for path in sorted(shown)]
    for name in names:
        _copy(report / name, folder / name)
    page = (report / "index.html").read_text(encoding="utf-8")
    write_text(folder / "index.html", reading_copy(page, [name.as_posix() for name in names]))


def publish_site(params: Params, paths: Paths, folder: Path) -> None:
    """Lay out the whole report with the pages of its notebooks; what an earlier call wrote to the folder is replaced.

    Raises ValueError where there is no report, and for a folder in use: it must be empty, absent, or an earlier site.
    """
    report = _report_of(paths)
    inside = folder.resolve().is_relative_to((paths.root / "reports").resolve())
    if inside or (folder.exists() and any(folder.iterdir()) and not (folder / ".nojekyll").exists()):
        raise ValueError(f"{folder}: holds other files; name an empty or a new folder, such as FOLDER=site")
    _empty(folder)
    shutil.copytree(report, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    for stage in stage_names(params):  # pages of stages that left the params stay behind
        _copy(paths.html(stage), folder / "notebooks" / f"{stage}.html")
    (folder / ".nojekyll").touch()  # GitHub Pages serves the files as they are


def reading_copy(page: str, held: Collection[str]) -> str:
    """The page with a note, its links to files that are not held as plain text. Equal pages give equal copies."""

    def kept(found: re.Match[str]) -> str:
        href, text = found.groups()
        return found.group() if href in held else text.replace(DATA, "")

    text = re.sub(r"<p></p>\n?", "", _LINK.sub(kept, page))
    return text.replace(_CONTENTS, f"{paragraph(NOTE)}\n{_CONTENTS}", 1)


def _report_of(paths: Paths) -> Path:
    if not (paths.report / "index.html").is_file():
        raise ValueError(f"{paths.report}: holds no report; `make reproduce` makes it")
    return paths.report


def _empty(folder: Path) -> None:
    for name in PUBLISHED:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
