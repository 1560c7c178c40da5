"""Extensible things are registered by the presence of their file: one module in the folder of their kind.

The name in params is the name of the module. A new reader, weighting, loss term, judge, figure or table is a new file
and no line elsewhere; nothing is imported until it is asked for by name.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_PACKAGE = Path(__file__).resolve().parent


class UnknownNameError(ValueError):
    """A name that no file registers; the message has the nearest known one."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The things of one kind, each the module of its name in a package's folder.

    package: dotted, written as a literal: whatever calls `Registry("...")` depends on every file of that folder, and
    `store.code_key` reads it from the source. kind: in words, for errors.
    """

    package: str
    kind: str

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted. Nothing is imported."""
        return modules_in(_PACKAGE.parent.joinpath(*self.package.split(".")))

    def modules(self) -> tuple[str, ...]:
        """Dotted names of all modules, in the order of `names`."""
        return tuple(f"{self.package}.{name}" for name in self.names())

    def module(self, name: str) -> str:
        """Dotted name of one module. Raises UnknownNameError."""
        return f"{self.package}.{known_name(name, self.names(), self.kind)}"

    def load(self, name: str) -> ModuleType:
        """Import one module. Raises UnknownNameError."""
        return importlib.import_module(self.module(name))


def registered(folder: str) -> tuple[str, ...]:
    """Names of the modules in a folder of this package, such as "engine/weighting".

    For who checks a name and does not use what it names: a path, unlike a dotted name, is no dependency to
    `store.code_key`.
    """
    return modules_in(_PACKAGE / folder)


def modules_in(folder: Path) -> tuple[str, ...]:
    """Names of the modules in a folder, sorted; packages inside and names with a leading underscore are helpers.

    Raises ValueError where there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of modules")
    found = pkgutil.iter_modules([str(folder)])
    return tuple(sorted(one.name for one in found if not one.ispkg and not one.name.startswith("_")))


def known_name(name: str, known: Collection[str], kind: str) -> str:
    """The name, if it is known. Raises UnknownNameError that has the nearest known one and all of them."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        nearest = f"; the nearest known one is {near[0]!r}" if near else ""
        raise UnknownNameError(f"unknown {kind} {name!r}{nearest}; known: {', '.join(sorted(known))}")
    return name
