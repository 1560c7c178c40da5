"""Deps of dvc.yaml against the imports of the notebooks."""

import shutil
from pathlib import Path

import pytest
import tiny_notebooks as tiny

from more_repro.nb.pipeline.stage_deps import compare, rewrite

DVC_YAML = """\
# A comment at the top.
stages:
  one:  # beside a stage
    cmd: >-
      python -m more_repro.nb run notebooks/one.ipynb
      --stage one
    deps:
      - notebooks/one.ipynb
      - "data/${profile}/pairs"  # beside a dep
      - src/more_repro/superfluous.py
    params: [sources, "bases.${key}"]
    outs:
      - data/${profile}/x

  # between stages
  many:
    foreach: ${bases}
    do:
      cmd: python -m more_repro.nb run notebooks/two.ipynb --stage two-${key} -p base=${key}
      deps:
        - build/code/two.json
      outs: ["data/${profile}/${key}"]
  publish:
    cmd: python -m more_repro.other.publish
    deps:
      - data/${profile}/x
    outs:
      - reports/index.html: {cache: false}
  code:
    cmd: python -m more_repro.nb digest --out-dir build/code notebooks/two.ipynb
    deps:
      - notebooks/two.ipynb
    outs: [build/code/two.json]
"""


@pytest.fixture
def dvc_yaml(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "more_repro"
    for name in ("__init__.py", "low.py", "high.py", "superfluous.py", "other/__init__.py", "other/publish.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    (package / "high.py").write_text("def f():\n    from more_repro import low\n    return low\n")
    (package / "other" / "publish.py").write_text("import more_repro.low\n")
    tiny.write(tmp_path / "notebooks" / "one.ipynb", "from more_repro.high import f")
    tiny.write(tmp_path / "notebooks" / "two.ipynb", "import more_repro.low")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    return tmp_path / "dvc.yaml"


def test_missing_and_superfluous_deps_are_named(dvc_yaml: Path) -> None:
    assert compare(dvc_yaml) == [
        "one: missing dep src/more_repro/high.py",
        "one: missing dep src/more_repro/low.py",
        "one: superfluous dep src/more_repro/superfluous.py",
        "publish: missing dep src/more_repro/low.py",
        "publish: missing dep src/more_repro/other/publish.py",
        "code: missing dep src/more_repro/low.py",
    ]


def test_rewriting_mends_the_deps_and_keeps_every_other_line(dvc_yaml: Path) -> None:
    rewrite(dvc_yaml)
    assert compare(dvc_yaml) == []
    after = dvc_yaml.read_text().splitlines()
    kept = [line for line in after if "src/more_repro" not in line]
    assert kept == [line for line in DVC_YAML.splitlines() if "src/more_repro" not in line]
    rewrite(dvc_yaml)
    assert dvc_yaml.read_text().splitlines() == after


def test_a_stage_must_depend_on_its_notebook_or_on_its_digest(dvc_yaml: Path) -> None:
    dvc_yaml.write_text(DVC_YAML.replace("- build/code/two.json\n      outs", "- data/x\n      outs"))
    finding = "many: depends neither on notebooks/two.ipynb nor on its digest build/code/two.json"
    assert finding in compare(dvc_yaml)


def test_an_import_that_cannot_be_followed_is_a_finding(dvc_yaml: Path) -> None:
    tiny.write(dvc_yaml.parent / "notebooks" / "one.ipynb", "import more_repro.gone")
    rewrite(dvc_yaml)
    (finding,) = compare(dvc_yaml)
    assert finding.startswith("one: notebooks/one.ipynb: ")
    assert "more_repro.gone" in finding


def test_rewriting_the_real_file_touches_module_deps_only(root: Path, tmp_path: Path) -> None:
    for name in ("dvc.yaml", "src", "notebooks"):
        source = root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    rewrite(tmp_path / "dvc.yaml")

    def others(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if "- src/more_repro/" not in line]

    assert others(tmp_path / "dvc.yaml") == others(root / "dvc.yaml")
