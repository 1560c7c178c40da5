"""Prose of notebooks as HTML: formulas as MathML, raw HTML shown as text, nothing loaded from elsewhere."""

from html import escape
from typing import Any

from latex2mathml.converter import convert
from mistune import HTMLRenderer
from nbconvert.filters.markdown_mistune import MarkdownWithMath


class _Renderer(HTMLRenderer):
    """Escapes HTML that stands in the prose, and drops links that are no web address (javascript:)."""

    def __init__(self) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False)

    def inline_math(self, body: str) -> str:
        return formula(body, "inline")

    def block_math(self, body: str) -> str:
        # A span: `$$...$$` may stand inside a paragraph, which may hold no div.
        return f'<span class="formula" role="region" aria-label="Formula" tabindex="0">{formula(body, "block")}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def multiline_math(self, text: str) -> str:
        return self.block_math(text.strip("$"))

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        anchor = "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")
        return f'<h{level} id="{escape(anchor)}">{text}</h{level}>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        # A page stands alone: an image that it would have to fetch becomes a link.
        return f'<a href="{escape(self.safe_url(url))}">{escape(text)}</a>'


def formula(latex: str, display: str) -> str:
    """MathML of a formula; one that cannot be read is shown as its LaTeX, so that a slip never fails a stage."""
    try:
        return convert(latex.strip(), display=display)
    except Exception:
        return f"<code>{escape(latex)}</code>"


def prose(markdown: str) -> str:
    """HTML of a markdown text."""
    return MarkdownWithMath(renderer=_Renderer()).render(markdown)
