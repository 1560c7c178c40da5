"""What git holds of the reports: small, whole, and readable without a run."""

import re
import subprocess
from pathlib import Path

import pytest

MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def held(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "reports"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("a download without git does not say what git holds")
    return [root / name for name in listed.stdout.splitlines() if (root / name).is_file()]


def test_git_holds_little(held: list[Path]) -> None:
    assert sum(path.stat().st_size for path in held) <= MOST_BYTES


def test_git_holds_the_reading_copy_and_the_summary_of_the_longer_study(root: Path, held: list[Path]) -> None:
    names = {path.relative_to(root / "reports").as_posix() for path in held}
    pages = {"index.html", "summary.json", "study/summary.json"}
    assert pages <= names
    assert {f"tables/table{number}.csv" for number in range(1, 7)} <= names
    others = names - pages
    assert all(re.fullmatch(r"tables/table\d+(-\w+)?\.csv|figures/[\w-]+\.svg", name) for name in others), others


def test_no_link_of_the_page_is_dead(root: Path, held: list[Path]) -> None:
    text = (root / "reports" / "index.html").read_text(encoding="utf-8")
    targets = {root / "reports" / link for link in re.findall(r'(?:href|src)="([^"#]+)"', text)}
    assert len(targets) > 20
    assert targets <= set(held)
