"""`make doctor`: the machine and the environment in one table, before anything long is started."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from more_repro.nb.project.requirements import PROJECT, mismatches, parse_lock
from more_repro.nb.project.terminal import tell

GIB = 1024**3
ENOUGH_DISK_GIB = 5


def is_locked(root: Path = Path()) -> bool:
    """Whether this environment has every pin of the lock, and the project itself from this folder."""
    pins = parse_lock((root / "requirements.lock").read_text(encoding="utf-8"))
    return not mismatches(pins) and _installed_from() == root.resolve()


def examine(root: Path = Path()) -> int:
    """Show the table. Returns 1 when something must be mended before a run, and says what mends it."""
    rows, problems = list(_machine()), []
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        problems.append("Python 3.11 or 3.12 is needed")
    wrong = mismatches(parse_lock((root / "requirements.lock").read_text(encoding="utf-8")))
    rows.append(("packages", f"{len(wrong)} differ from requirements.lock" if wrong else "as requirements.lock"))
    rows += [("", line) for line in wrong[:12]]
    if _installed_from() != root.resolve():
        problems.append("the project is not installed from this folder: make env")
    if wrong:
        problems.append("versions differ from the tested ones: make env (results may differ)")
    rows += list(_disks(root, problems))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        tell(f"{name:<{width}}  {value}")
    for problem in problems:
        tell(f"! {problem}")
    return 1 if problems else 0


def _machine() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()}, {sys.prefix}"
    yield "platform", platform.platform()
    yield "cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    yield "memory", _memory()
    yield "torch", _version("torch")
    yield "GPU", _gpus()


def _disks(root: Path, problems: list[str]) -> Iterator[tuple[str, str]]:
    free = shutil.disk_usage(root).free / GIB
    yield "disk free", f"{free:.1f} GiB"
    if free < ENOUGH_DISK_GIB:
        problems.append(f"less than {ENOUGH_DISK_GIB} GiB of disk are free")
    hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    for name, folder in (("HF cache", hub), ("DVC cache", root / ".dvc" / "cache")):
        yield name, f"{folder} ({_size(folder)})" if folder.exists() else f"{folder} (empty)"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (ValueError, OSError):
        return "unknown"
    return f"{total:.1f} GiB"


def _gpus() -> str:
    """Names and memory as the driver tells them: quick, where importing torch takes seconds."""
    query = shutil.which("nvidia-smi")
    if query is None:
        return "none (CPU)"
    command = [query, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "nvidia-smi fails"
    return "; ".join(line.strip() for line in text.splitlines()) or "none (CPU)"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _installed_from() -> Path | None:
    """Folder that the project is installed from in editable mode."""
    try:
        text = importlib.metadata.distribution(PROJECT).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    url = json.loads(text or "{}").get("url", "")
    return Path(unquote(urlparse(url).path)).resolve() if url.startswith("file:") else None


def _size(folder: Path) -> str:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{total / GIB:.2f} GiB"
