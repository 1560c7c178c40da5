"""An executed notebook as one HTML page that stands alone: no script, no remote request, readable in any browser."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from nbconvert.exporters.templateexporter import TemplateExporter
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from traitlets.config import Config

from more_repro.nb.runner.mathml import prose

TEMPLATES = Path(__file__).parent / "template"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PROSE = {"a", "b", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "p", "pre", "strong"}
_BLOCKS = {"details", "figcaption", "figure", "img", "small", "span", "sub", "summary", "sup", "u", "li", "ol", "ul"}
_TABLES = {"caption", "col", "colgroup", "dd", "dl", "dt", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
_ATTRIBUTES = frozenset(("class", "colspan", "rowspan", "scope", "title", "style", "alt", "role", "aria-label", "id"))


def render(notebook: NotebookNode, *, stage: str, facts: Mapping[str, str]) -> tuple[str, list[str]]:
    """The page, and a warning for every image without a description.

    facts: name -> value of the footer (profile, digest of the params); nothing that differs between equal runs.
    Outputs are untrusted text: HTML of outputs is reduced to tables, text and embedded images.
    """
    warnings: list[str] = []
    exporter = TemplateExporter(config=Config(), template_name="page", extra_template_basedirs=[str(TEMPLATES)])
    exporter.template_extension = ".html.j2"
    exporter.filters = {
        "prose": prose,
        "code": lambda text: highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)),
        "output": lambda output, number: _output(output, number, warnings),
    }
    title = _title(notebook, stage)
    style = (TEMPLATES / "page" / "style.css").read_text(encoding="utf-8")
    page = {"title": title, "stage": stage, "facts": dict(facts), "style": style}
    html, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    return html, warnings


def _title(notebook: NotebookNode, stage: str) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return stage


def _output(output: NotebookNode, number: int, warnings: list[str]) -> str:
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        trace = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
        return _text(trace, "error")
    data, metadata = output.data, output.metadata
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            alt = _alt(metadata, kind)
            if alt is None:
                warnings.append(f"cell {number}: an image has no description; give one by show(figure, alt=...)")
            return _image(kind, data[kind], alt or "A figure without a description")
    if "text/html" in data:
        return f'<div class="scroll" role="region" aria-label="Table" tabindex="0">{clean(data["text/html"])}</div>'
    if "text/markdown" in data:
        return prose(data["text/markdown"])
    return _text(data.get("text/plain", ""))


def _alt(metadata: Mapping[str, Any], kind: str) -> str | None:
    described = metadata.get(kind, {}).get("alt") or metadata.get("alt") or ""
    return str(described).strip() or None


def _image(kind: str, data: str, alt: str) -> str:
    packed = "".join(data.split())
    return f'<figure><img src="data:{kind};base64,{escape(packed)}" alt="{escape(alt)}"></figure>'


def _text(text: str, kind: str = "plain") -> str:
    text = _ANSI.sub("", text)
    return f'<pre class="{kind}" tabindex="0">{escape(text)}</pre>' if text.strip() else ""


def clean(html: str) -> str:
    """HTML without scripts, styles of its own, events, forms, and anything that a browser would fetch."""
    html = re.sub(r"<(style|script)\b.*?</\1\s*>", "", html, flags=re.DOTALL | re.IGNORECASE)
    css = CSSSanitizer(allowed_css_properties=["text-align", "color", "background-color", "font-weight", "width"])
    protocols = {"http", "https", "data"}
    kept = bleach.clean(
        html, tags=_PROSE | _BLOCKS | _TABLES, attributes=_allowed, protocols=protocols, css_sanitizer=css, strip=True
    )
    return re.sub(r"<img(?![^>]*\ssrc=)[^>]*>", "", kept)


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and value.startswith(("data:image/png;", "data:image/jpeg;"))
    if name == "href":
        return tag == "a" and value.startswith(("https://", "http://", "#"))
    return name in _ATTRIBUTES
