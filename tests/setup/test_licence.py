"""The licence and the citation agree with what the package says of itself."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import more_repro

TYPES = ("software", "dataset")  # that CFF 1.2.0 knows


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def citation(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation_names_this_package_its_version_and_licence(citation: dict, project: dict) -> None:
    assert citation["title"] == project["name"]
    assert citation["version"] == more_repro.__version__
    assert citation["license"] == project["license"]
    assert citation["abstract"].rstrip(".") == project["description"]


def test_citation_has_what_the_format_demands(citation: dict) -> None:
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in TYPES
    assert citation["message"]
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert work["authors"]
        for author in work["authors"]:
            assert "name" in author or {"family-names", "given-names"} <= set(author)


def test_the_paper_is_cited_in_the_version_that_the_readme_names(root: Path, citation: dict) -> None:
    (paper,) = citation["references"]
    assert paper["url"] in (root / "README.md").read_text(encoding="utf-8")
    assert paper["identifiers"][0]["value"] == "arXiv:" + paper["url"].rpartition("/")[2]


def test_licence_is_the_one_that_the_project_declares(root: Path, project: dict) -> None:
    assert project["license"] == "Apache-2.0"
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
