"""Small notebooks that the tests of this room write and run."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from more_repro.params import resolved_text

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = 'base: str = "tiny"  # which base\nsteps: int = 3\nshare: float = 0.5\nquick: bool = True'
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def write(path: Path, *code: str, prose: str = "# A title", parameters: str = PARAMETERS) -> Path:
    """A notebook of one markdown cell, a `parameters` cell and the given code cells."""
    tagged = new_code_cell(parameters)
    tagged.metadata["tags"] = ["parameters"]
    cells = [new_markdown_cell(prose), tagged, *map(new_code_cell, code)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def project(folder: Path) -> Path:
    """A folder that a stage can run in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(resolved_text(ROOT / "params" / "tiny.yaml"))
    return folder


def command(notebook: Path, stage: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "more_repro.nb", "run", str(notebook), "--stage", stage, *more]


def run(folder: Path, notebook: Path, stage: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    words: Sequence[str] = command(notebook.relative_to(folder), stage, *more)
    return subprocess.run(words, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)


class _Requests(HTMLParser):
    """Collects tags and attributes by which a browser would fetch or run something by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object", "embed", "form", "base"):
            self.found.append(tag)
        for name, value in attrs:
            own = (value or "").startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
            if (name in ("src", "srcset", "action", "data") and not own) or name.startswith("on"):
                self.found.append(f"{tag} {name}={value}")
            if re.search(r"url\(|javascript:", value or ""):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() == "<style>" and re.search(r"url\(|@import", data):
            self.found.append(f"style: {data}")


def outside_requests(html: str) -> list[str]:
    """Whatever in a page a browser would fetch or run by itself."""
    parser = _Requests()
    parser.feed(html)
    return parser.found
