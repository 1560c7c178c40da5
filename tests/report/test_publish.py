"""The reading copy in git and the whole site: what they hold, and no link of theirs is dead."""

import json
import re
from pathlib import Path

import pytest

from more_repro.params import Params
from more_repro.paths import Paths, stage_names
from more_repro.report import catalogue, html
from more_repro.report.page import page
from more_repro.report.page.build import make_paper_tables
from more_repro.report.page.publish import NOTE, publish_reading_copy, publish_site
from more_repro.report.run_tables import Study


@pytest.fixture(scope="module")
def page_text(full_study: Study) -> str:
    """The page of a whole study, with every figure of every regime."""
    entries = catalogue.figures()
    names = [entry.name for entry in entries]
    names += [f"{entry.name}-balanced" for entry in entries if entry.per_regime]
    pictures = {name: html.Picture(name, name, "caption.", "alt", 10, 10) for name in names}
    tables = make_paper_tables(full_study, {})
    return page.build(full_study, tables, pictures, [], [("profile", "small")], stage_names(full_study.params))


@pytest.fixture
def paths(full_study: Study, page_text: str, tmp_path: Path) -> Paths:
    """A project whose run has ended: report and pages of notebooks, as empty files."""
    found = Paths(full_study.params.profile, tmp_path)
    tables = [*make_paper_tables(full_study, {}), *(entry.name for entry in catalogue.tables()), "controls"]
    figures = re.findall(r'src="figures/([^"]+)\.svg"', page_text)
    for name in [
        *(f"tables/{name}.csv" for name in tables),
        *(f"figures/{n}.{e}" for n in figures for e in ("svg", "csv")),
    ]:
        (found.report / name).parent.mkdir(parents=True, exist_ok=True)
        (found.report / name).touch()
    (found.report / "index.html").write_text(page_text, encoding="utf-8")
    (found.report / "summary.json").write_text(json.dumps({"profile": "small"}), encoding="utf-8")
    for stage in stage_names(full_study.params):
        found.html(stage).parent.mkdir(parents=True, exist_ok=True)
        found.html(stage).touch()
    return found


def dead_links(folder: Path) -> list[str]:
    links = re.findall(r'(?:href|src)="([^"#]+)"', (folder / "index.html").read_text(encoding="utf-8"))
    assert links
    return [link for link in links if not link.startswith("data:") and not (folder / link).is_file()]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_reading_copy_holds_the_page_its_figures_and_the_papers_tables(full_study: Study, paths: Paths) -> None:
    publish_reading_copy(full_study.params, paths)
    folder = paths.root / "reports"
    found = files(folder)
    assert {"index.html", "summary.json", *(f"tables/table{n}.csv" for n in range(1, 7)), "figures/fig4.svg"} <= found
    others = found - {"index.html", "summary.json"}
    assert all(re.fullmatch(r"tables/table\d+(-\w+)?\.csv|figures/[\w-]+\.svg", name) for name in others), others
    assert dead_links(folder) == []


def test_the_text_of_the_page_is_all_there(full_study: Study, paths: Paths, page_text: str) -> None:
    publish_reading_copy(full_study.params, paths)
    copy = (paths.root / "reports" / "index.html").read_text(encoding="utf-8")
    assert copy.count(NOTE) == 1
    assert NOTE not in page_text

    def words(text: str) -> str:
        return " ".join(re.sub(r"<[^>]*>", " ", text.replace(html.DATA, "").replace(NOTE, "")).split())

    assert words(copy) == words(page_text)
    assert "<li>ingest</li>" in copy


def test_a_reading_copy_replaces_the_one_before_and_leaves_other_files(full_study: Study, paths: Paths) -> None:
    folder = paths.root / "reports"
    for name in ("figures/old.svg", "notebooks/old.html", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    publish_reading_copy(full_study.params, paths)
    once = files(folder)
    assert not {"figures/old.svg", "notebooks/old.html"} & once
    assert "README.md" in once
    publish_reading_copy(full_study.params, paths)
    assert files(folder) == once


def test_the_site_holds_everything_and_has_no_dead_link(full_study: Study, paths: Paths, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for _ in range(2):  # again over the one before
        publish_site(full_study.params, paths, site)
        assert dead_links(site) == []
    assert files(paths.report) < files(site)
    assert {f"notebooks/{stage}.html" for stage in stage_names(full_study.params)} < files(site)


@pytest.mark.parametrize("name", ["", "reports", "reports/site", "used"])
def test_a_site_never_replaces_files_that_are_not_its_own(
    full_study: Study, paths: Paths, tmp_path: Path, name: str
) -> None:
    (tmp_path / "used" / "notebooks").mkdir(parents=True)
    (tmp_path / "used" / "notebooks" / "mine.ipynb").touch()
    with pytest.raises(ValueError, match="holds other files"):
        publish_site(full_study.params, paths, tmp_path / name)
    assert (tmp_path / "used" / "notebooks" / "mine.ipynb").exists()


def test_without_a_report_nothing_is_published(tmp_path: Path, full_study: Study) -> None:
    params: Params = full_study.params
    (tmp_path / "reports" / "figures").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no report; `make reproduce` makes it"):
        publish_reading_copy(params, Paths("small", tmp_path))
    assert (tmp_path / "reports" / "figures").is_dir()
