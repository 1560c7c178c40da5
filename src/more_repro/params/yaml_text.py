"""YAML of params: numbers as DVC reads them, no key given twice, and the line on which a key stands."""

import re
from collections.abc import Sequence
from typing import Any

import yaml


class ParamsError(ValueError):
    """params.yaml holds something that the project cannot use; the message names the file and the key."""


class _Loader(yaml.SafeLoader):
    """YAML whose `1e-6` is a number, as in YAML 1.2 and in DVC, and which refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ParamsError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse(text: str) -> Any:
    """The data of a YAML text. Raises ParamsError that says where it is no YAML or gives a key twice."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ParamsError(str(error)) from None


def compose(text: str) -> yaml.MappingNode:
    """The nodes of a YAML text, which know their places in it. Raises ParamsError where it is no map of keys."""
    try:
        node = yaml.compose(text, _Loader)
    except yaml.YAMLError as error:
        raise ParamsError(str(error)) from None
    if not isinstance(node, yaml.MappingNode):
        raise ParamsError("expected keys with values")
    return node


def entries(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Key and value nodes of a map, by key."""
    return {str(key.value): (key, value) for key, value in node.value}


def line_of(text: str, location: Sequence[Any]) -> int | None:
    """The line, from 1, on which the deepest key of a location that is there stands; None for the whole file."""
    node: yaml.Node = compose(text)
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode) and str(part) in entries(node):
            key, node = entries(node)[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            break
    return line
