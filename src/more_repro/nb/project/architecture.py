"""Draws the pictures of docs/architecture.md: `python -m more_repro.nb.project.architecture`.

Rooms come from the import contracts of pyproject.toml, stages from dvc.yaml, so neither picture can be out of date.
"""

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from more_repro.store.atomic import write_text

PAGE = Path("docs/architecture.md")
HELPERS = ("code", "prune", "inputs", "publish")  # stages that serve the pipeline; the others are the study

Layers = list[list[str]]


def layers_by_container(pyproject: dict[str, Any]) -> dict[str, Layers]:
    """Every layers contract: the package it rules -> its rows from top to bottom, each a list of names."""
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    return {
        container: [[name.strip(" ()") for name in re.split("[|:]", row)] for row in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def draw_rooms(contracts: dict[str, Layers], root: str) -> str:
    """The package `root` as a Mermaid graph: each row may import the rows below it, rooms of one row never meet."""
    return "\n".join(["flowchart TB", *_room(contracts, root, "  ")])


def _room(contracts: dict[str, Layers], container: str, indent: str) -> Iterator[str]:
    rows = []
    for number, names in enumerate(contracts[container]):
        members = [f"{container}.{name}" for name in names]
        rows.append(_id(members[0]) if len(members) == 1 else f"{_id(container)}_row{number}")
        if len(members) > 1:
            yield f'{indent}subgraph {rows[-1]}[" "]'
            yield f"{indent}  direction TB"  # without arrows between them: side by side
        for member in members:
            yield from _member(contracts, member, indent + "  " * (len(members) > 1))
        if len(members) > 1:
            yield f"{indent}end"
    yield from (f"{indent}{upper} --> {lower}" for upper, lower in pairwise(rows))


def _member(contracts: dict[str, Layers], member: str, indent: str) -> Iterator[str]:
    name = member.rpartition(".")[2]
    if member not in contracts:
        yield f'{indent}{_id(member)}["{name}"]'
        return
    yield f'{indent}subgraph {_id(member)}["{name}"]'
    yield f"{indent}  direction TB"
    yield from _room(contracts, member, indent + "  ")
    yield f"{indent}end"


def _id(name: str) -> str:
    """A Mermaid identifier: no dots, and never one of its own words such as `end`."""
    return "r_" + re.sub(r"\W", "_", name.partition(".")[2] or name)


def stage_edges(pipeline: dict[str, Any]) -> dict[str, set[str]]:
    """Each stage of the study -> the stages whose outputs it depends on. Templates all count as one name."""
    stages = {name: stage.get("do", stage) for name, stage in pipeline["stages"].items() if name not in HELPERS}
    outs = {name: _paths(stage.get("outs", [])) for name, stage in stages.items()}
    return {
        name: {
            other
            for other, made in outs.items()
            if other != name and any(_meet(dep, out) for dep in _paths(stage.get("deps", [])) for out in made)
        }
        for name, stage in stages.items()
    }


def draw_stages(pipeline: dict[str, Any]) -> str:
    """The stages of the study as a Mermaid graph. An arrow that follows from others is left out."""
    edges = stage_edges(pipeline)
    lines = ["flowchart TB"]
    for name in edges:
        entries = _entries(pipeline["stages"][name])
        lines.append(f'  {name}["{name}{f"<br/>one per {entries}" if entries else ""}"]')
    for name, needs in edges.items():
        implied = set().union(*(_ancestors(edges, need) for need in needs))
        lines += [f"  {need} --> {name}" for need in edges if need in needs - implied]
    return "\n".join(lines)


def _entries(stage: dict[str, Any]) -> str:
    """What the stage is repeated for: "base", or "base and scheme"; else nothing."""
    axes = [stage["foreach"]] if "foreach" in stage else list(stage.get("matrix", {}).values())
    return " and ".join(str(axis).strip("${}").removesuffix("s") for axis in axes)


def _ancestors(edges: dict[str, set[str]], name: str) -> set[str]:
    return edges[name].union(*(_ancestors(edges, need) for need in edges[name]))


def _paths(entries: list[str | dict[str, Any]]) -> list[tuple[str, ...]]:
    """Deps or outs as the parts of their paths, every ${...} as the same mark."""
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [tuple(re.sub(r"\$\{[^}]*\}", "*", name).split("/")) for name in names]


def _meet(dep: tuple[str, ...], out: tuple[str, ...]) -> bool:
    """Whether one path is the other or lies under it."""
    shared = min(len(dep), len(out))
    return dep[:shared] == out[:shared]


def redraw(page: str, pictures: dict[str, str]) -> str:
    """The page with each picture between its markers. Raises ValueError where a picture has no place."""
    for name, picture in pictures.items():
        begin, end = f"<!-- drawn: {name} -->\n", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{PAGE}: expected the markers {begin.strip()!r} and {end!r} once each")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}```mermaid\n{picture}\n```\n{end}{rest.partition(end)[2]}"
    return page


def read_pictures(root: Path) -> dict[str, str]:
    """Both pictures, from the files of the project at `root`."""
    contracts = layers_by_container(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")))
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
    return {"rooms": draw_rooms(contracts, "more_repro"), "stages": draw_stages(pipeline)}


if __name__ == "__main__":
    write_text(PAGE, redraw(PAGE.read_text(encoding="utf-8"), read_pictures(Path())))
