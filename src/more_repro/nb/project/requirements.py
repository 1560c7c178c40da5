"""requirements.lock: the exact versions that were tested, one file for CPU and CUDA, for Python 3.11 and 3.12."""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = "more-repro"
EXTRAS = ("dev",)
HEADER = "# Exact versions of all that the tests ran with. Written by `make lock`; edit pyproject.toml instead.\n"
# A CUDA build of torch brings these itself, in the versions that it was built with.
_WITH_TORCH = re.compile(r"^(nvidia-|cuda-|triton|pytorch-triton)")


def parse_lock(text: str) -> dict[str, str]:
    """Normalised name -> version. Raises ValueError for a line that is no exact pin."""
    pins = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, sign, version = line.partition("==")
        if not sign or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not re.fullmatch(r"[A-Za-z0-9.!-]+", version):
            raise ValueError(f"requirements.lock:{number}: expected name==version, found {line!r}")
        pins[normal(name)] = version
    return pins


def normal(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def mismatches(pins: dict[str, str]) -> list[str]:
    """A line for each pin that this environment does not meet; a local build such as 2.13.0+cpu meets 2.13.0."""
    lines = []
    for name, version in pins.items():
        found = _installed(name)
        if found is None:
            lines.append(f"{name}: not installed, locked {version}")
        elif found.partition("+")[0] != version:
            lines.append(f"{name}: {found}, locked {version}")
    return lines


def write_lock(path: Path) -> int:
    """Pin everything that the project and its dev tools need, in the versions of this environment. Returns 0."""
    from more_repro.nb.project.terminal import tell

    pins: dict[str, str] = {}
    absent: set[str] = set()
    for name in _needed():
        found = _installed(name)
        if found is None:
            absent.add(name)
        else:
            pins[name] = found.partition("+")[0]
    lines = [f"{name}=={pins[name]}" for name in sorted(pins)]
    path.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    tell(f"{path}: {len(lines)} packages from Python {sys.version.split()[0]}")
    if absent:
        tell(f"not installed here, so left to pip: {', '.join(sorted(absent))}")
    return 0


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _needed() -> Iterator[str]:
    """Names of all direct and indirect requirements, on Python 3.11 and on 3.12."""
    seen: set[tuple[str, str]] = set()
    todo = [(PROJECT, extra) for extra in ("", *EXTRAS)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name != PROJECT and extra == "":
            yield name
        todo += _requirements(name, extra)


def _requirements(name: str, extra: str) -> list[tuple[str, str]]:
    """(package, extra) pairs that a package asks for; the extra "" stands for the package itself."""
    from packaging.requirements import Requirement

    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    wanted = []
    for requirement in map(Requirement, texts):
        required = normal(requirement.name)
        marker = requirement.marker
        environments = [
            {"python_version": v, "python_full_version": f"{v}.9", "extra": extra} for v in ("3.11", "3.12")
        ]
        if _WITH_TORCH.match(required) or (marker and not any(marker.evaluate(e) for e in environments)):
            continue
        wanted += [(required, ""), *((required, normal(one)) for one in requirement.extras)]
    return wanted
