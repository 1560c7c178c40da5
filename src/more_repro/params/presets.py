"""Presets that say what they change: `extends: small` and a few keys make a whole params file, comments kept.

A section is changed key by key; any other value (numbers, lists, and the maps of names: sources, regimes, bases,
schemes and the like) is replaced as a whole.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from more_repro.params.yaml_text import ParamsError, compose, entries, parse

EXTENDS = "extends"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Keys whose maps have names of the study's own for keys: a preset that gives one gives all of it.
NAMED = ("sources", "regimes", "bases", "schemes", "unique_pairs", "weights", "losses", "criteria")


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace characters start to end of a text."""

    start: int
    end: int
    text: str


def resolved_text(path: Path) -> str:
    """The whole params file that a preset stands for: what `make use` writes and DVC reads. Any other file as it is.

    Raises ParamsError for a file that cannot be read, a base that is not beside it, a circle of presets, and a change
    that cannot be written.
    """
    return _resolved(path, ())


def _resolved(path: Path, seen: tuple[Path, ...]) -> str:
    text = _read(path, seen[-1] if seen else None)
    try:
        changes = compose(text)
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None
    if EXTENDS not in entries(changes):
        return text
    name = str(entries(changes)[EXTENDS][1].value)
    if not _NAME.fullmatch(name):
        raise ParamsError(f"{path}: extends: expected the name of a preset beside it, found {name!r}")
    base = path.with_name(f"{name}.yaml")
    if base in (*seen, path):
        raise ParamsError(f"{path}: presets extend each other in a circle: {', '.join(p.stem for p in (*seen, path))}")
    return extend(_resolved(base, (*seen, path)), text, str(path))


def _read(path: Path, asked_by: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if asked_by is None:
            raise ParamsError(f"{path}: no such file; `make use PROFILE=small` makes it") from None
        raise ParamsError(
            f"{asked_by}: extends {path.stem!r}, and there is no {path.name} beside it; presets stand in params/, and "
            "`make use` writes the whole params.yaml from them"
        ) from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: {error}") from None


def extend(base: str, changes: str, name: str = "preset") -> str:
    """The text of a params file with the keys of another put in; comments of the base stay, but for the opening one.

    Raises ParamsError that names a key whose change cannot be written into the base's text.
    """
    try:
        edits = _edits(base, compose(base), changes, compose(changes))
    except ParamsError as error:
        raise ParamsError(f"{name}: {error}") from None
    text = base
    for edit in sorted(edits, key=lambda one: one.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    text = (_opening(changes) or _opening(base)) + text[len(_opening(base)) :]
    expected = merged(parse(base), {key: value for key, value in parse(changes).items() if key != EXTENDS})
    if parse(text) != expected:
        wrong = [key for key in expected if parse(text).get(key) != expected[key]]
        raise ParamsError(f"{name}: {', '.join(wrong)} cannot be put into what it extends; write it in the same form")
    return text


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The data that a preset stands for."""
    out = dict(base)
    for key, value in changes.items():
        section = isinstance(value, dict) and isinstance(base.get(key), dict) and key not in NAMED
        out[key] = merged(base[key], value) if section else value
    return out


def _edits(base: str, old: yaml.MappingNode, changes: str, new: yaml.MappingNode) -> list[_Edit]:
    edits = []
    there = entries(old)
    for key, (key_node, value) in entries(new).items():
        if key == EXTENDS:
            continue
        found = there.get(key)
        if found is None:
            edits.append(_added(base, old, changes, new, (key_node, value)))
        elif isinstance(found[1], yaml.MappingNode) and isinstance(value, yaml.MappingNode) and key not in NAMED:
            edits += _edits(base, found[1], changes, value)
        elif _in_one_line(found[1]) and _in_one_line(value):
            edits.append(_value(base, found[1], changes, value))
        elif old.flow_style:
            raise ParamsError(f"key {key!r} stands in one line of what it extends: give it in one line too")
        else:
            start, end = _lines(base, *found)
            edits.append(_Edit(start, end, _entry(changes, new, key_node, value, found[0].start_mark.column)))
    return edits


def _value(base: str, old: yaml.Node, changes: str, new: yaml.Node) -> _Edit:
    """One value for another in its line; a comment behind it keeps its column, and gives way to one of the preset."""
    start, end = old.start_mark.index, old.end_mark.index
    text = changes[new.start_mark.index : new.end_mark.index]
    rest, own = (_rest(whole, node.end_mark.index) for whole, node in ((base, old), (changes, new)))
    comment = own.strip() if own.lstrip().startswith("#") else rest.strip()
    if not rest.lstrip().startswith("#") or not comment:
        return _Edit(start, end, text)
    column = len(rest) - len(rest.lstrip()) + end - start
    return _Edit(start, end + len(rest), f"{text.ljust(column - 1)} {comment}")


def _added(
    base: str, section: yaml.MappingNode, changes: str, new: yaml.MappingNode, entry: tuple[yaml.Node, yaml.Node]
) -> _Edit:
    """A key that the base leaves to its default, at the end of its section."""
    if section.flow_style:
        if not _in_one_line(entry[1]):
            raise ParamsError(f"key {entry[0].value!r} comes into one line of what it extends: give it in one line too")
        end = section.end_mark.index - 1
        text = changes[entry[0].start_mark.index : entry[1].end_mark.index]
        return _Edit(end, end, f", {text}" if section.value else text)
    last = section.value[-1]
    end = _lines(base, *last)[1]
    return _Edit(end, end, _entry(changes, new, *entry, last[0].start_mark.column))


def _entry(text: str, section: yaml.MappingNode, key: yaml.Node, value: yaml.Node, column: int) -> str:
    """The lines of an entry of a section, its key moved to a column."""
    if section.flow_style:
        return f"{' ' * column}{text[key.start_mark.index : value.end_mark.index]}\n"
    start, end = _lines(text, key, value)
    shift = column - key.start_mark.column
    lines = text[start:end].splitlines()
    return "".join(f"{' ' * shift + line if shift >= 0 else line[-shift:]}\n" for line in lines)


def _lines(text: str, key: yaml.Node, value: yaml.Node) -> tuple[int, int]:
    """Where the lines of an entry begin and end; comments behind its last line belong to what follows."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", max(key.end_mark.index, _content_end(value)))
    return start, len(text) if end < 0 else end + 1


def _content_end(node: yaml.Node) -> int:
    """The place behind a node's last character; a block's own mark lies behind blank lines and comments."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _content_end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _content_end(node.value[-1])
    return int(node.end_mark.index)


def _rest(text: str, place: int) -> str:
    """What stands behind a place in its line."""
    end = text.find("\n", place)
    return text[place : len(text) if end < 0 else end]


def _in_one_line(node: yaml.Node) -> bool:
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return not is_block and bool(node.start_mark.line == node.end_mark.line)


def _opening(text: str) -> str:
    """The comment lines that a text begins with."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:first])
