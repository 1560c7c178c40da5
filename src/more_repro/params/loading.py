"""Reading a params file: its text, its sections, and an error that says where and what where it is wrong."""

import difflib
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from more_repro.params.presets import resolved_text
from more_repro.params.study import Params
from more_repro.params.yaml_text import ParamsError, line_of, parse


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a params file, or a preset together with the one that it extends.

    Raises ParamsError that names file, line and key, what was found, and for an unknown key the nearest known one.
    """
    path = Path(path)
    text = resolved_text(path)
    try:
        raw = parse(text)
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None
    try:
        return Params.model_validate(_tuples(raw))
    except ValidationError as error:
        # A preset's lines are not those of the whole text that it stands for.
        lines = [_explain(one, text if text == path.read_text(encoding="utf-8") else "") for one in error.errors()]
        raise ParamsError(f"{path}: " + "; ".join(lines)) from None


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(error: Any, text: str) -> str:
    line = line_of(text, error["loc"]) if text else None
    return ("" if line is None else f"line {line}: ") + _what(error)


def _what(error: Any) -> str:
    location = error["loc"]
    where = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"unknown key {where!r}; {_meant(location)}"
    if error["type"] == "missing":
        return f"key {where!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if not where:
        return message
    found = "" if isinstance(error["input"], dict) else f", found {error['input']!r}"
    return f"{where}: {message}{found}"


def _meant(location: tuple[Any, ...]) -> str:
    """The known key that an unknown one stands for: the same in a section below, else the nearest."""
    section, key = _section(location[:-1]), str(location[-1])
    for name in section.model_fields:
        below = _type(section, name)
        if isinstance(below, type) and issubclass(below, BaseModel) and key in below.model_fields:
            return f"it stands under {'.'.join([*map(str, location[:-1]), name])!r}"
    known = [field.alias or name for name, field in section.model_fields.items()]
    return f"the nearest known key is {difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]!r}"


def _section(location: tuple[Any, ...]) -> type[BaseModel]:
    """The section at a location, maps with free keys passed through."""
    current: Any = Params
    for part in location:
        is_section = isinstance(current, type) and issubclass(current, BaseModel)
        current = _type(current, part) if is_section else typing.get_args(current)[1]  # dict[Name, Section]
    return typing.cast(type[BaseModel], current)


def _type(section: type[BaseModel], key: str) -> Any:
    """What a key of a section holds, None left out."""
    found: Any = next(field for name, field in section.model_fields.items() if key in (name, field.alias)).annotation
    if isinstance(found, types.UnionType):
        return next(each for each in typing.get_args(found) if each is not type(None))
    return found
