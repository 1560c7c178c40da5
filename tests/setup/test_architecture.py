"""The pictures of docs/architecture.md are those of the import contracts and of dvc.yaml."""

from pathlib import Path

import pytest
import yaml

from more_repro.nb.project.architecture import (
    PAGE,
    draw_rooms,
    draw_stages,
    layers_by_container,
    read_pictures,
    redraw,
    stage_edges,
)

PIPELINE = yaml.safe_load("""\
stages:
  code:
    cmd: digest
    outs: [build/code/read.json]
  read:
    cmd: read
    deps: [build/code/read.json]
    outs: ["data/${profile}/pairs", "data/${profile}/t/a"]
  base:
    foreach: ${bases}
    do:
      cmd: pretrain
      deps: ["data/${profile}/pairs"]
      outs: ["data/${profile}/bases/${key}"]
  train:
    matrix: {base: "${bases}", scheme: "${schemes}"}
    cmd: train
    deps: ["data/${profile}/bases/${item.base}", "data/${profile}/pairs/one.parquet"]
    outs:
      - data/${profile}/models/${item.base}: {cache: false}
  report:
    cmd: report
    deps: ["data/${profile}/models", "data/${profile}/t"]
    outs: ["data/${profile}/report"]
""")


def test_the_page_shows_the_contracts_and_the_pipeline(root: Path) -> None:
    page = (root / PAGE).read_text(encoding="utf-8")
    assert redraw(page, read_pictures(root)) == page, "redraw: python -m more_repro.nb.project.architecture"


def test_a_stage_depends_on_the_stages_whose_outputs_it_reads() -> None:
    """A dep may be an output, lie under it, or be a folder of outputs; templates of other names are the same place."""
    assert stage_edges(PIPELINE) == {
        "read": set(),
        "base": {"read"},
        "train": {"base", "read"},
        "report": {"train", "read"},
    }


def test_arrows_that_follow_from_others_and_helper_stages_are_left_out() -> None:
    assert draw_stages(PIPELINE).splitlines() == [
        "flowchart TB",
        '  read["read"]',
        '  base["base<br/>one per base"]',
        '  train["train<br/>one per base and scheme"]',
        '  report["report"]',
        "  read --> base",
        "  base --> train",
        "  train --> report",
    ]


def test_every_notebook_is_a_stage_of_the_picture(root: Path) -> None:
    drawn = {line.strip().partition("[")[0] for line in read_pictures(root)["stages"].splitlines() if "[" in line}
    assert drawn == {path.stem.partition("_")[2] for path in (root / "notebooks").glob("[0-9][0-9]_*.ipynb")}


def test_rows_of_a_contract_are_drawn_from_top_to_bottom() -> None:
    contracts = {"house": [["attic"], ["east", "west"]], "house.attic": [["roof"], ["floor"]]}
    assert [line.strip() for line in draw_rooms(contracts, "house").splitlines()] == [
        "flowchart TB",
        'subgraph r_attic["attic"]',
        "direction TB",
        'r_attic_roof["roof"]',
        'r_attic_floor["floor"]',
        "r_attic_roof --> r_attic_floor",
        "end",
        'subgraph r_house_row1[" "]',
        "direction TB",
        'r_east["east"]',
        'r_west["west"]',
        "end",
        "r_attic --> r_house_row1",
    ]


def test_contracts_of_other_kinds_are_no_floor_plan() -> None:
    contracts = [
        {"type": "layers", "containers": ["a"], "layers": ["x | (y)", "z : w"]},
        {"type": "forbidden", "source_modules": ["a"]},
    ]
    found = layers_by_container({"tool": {"importlinter": {"contracts": contracts}}})
    assert found == {"a": [["x", "y"], ["z", "w"]]}


def test_a_picture_without_its_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected the markers '<!-- drawn: rooms -->'"):
        redraw("# Architecture\n", {"rooms": "flowchart TB"})


def test_drawing_again_changes_nothing_else() -> None:
    page = "before\n<!-- drawn: one -->\nold\n<!-- end: one -->\nafter\n"
    drawn = redraw(page, {"one": "new"})
    assert drawn == "before\n<!-- drawn: one -->\n```mermaid\nnew\n```\n<!-- end: one -->\nafter\n"
    assert redraw(drawn, {"one": "new"}) == drawn
