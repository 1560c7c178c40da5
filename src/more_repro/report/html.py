"""Pieces of a page as HTML. Every text that comes from data goes through `escape`; nothing is loaded from elsewhere."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd
from latex2mathml.converter import convert

_NUMBER = ' class="n"'
_NUMERIC = re.compile(r"[-−–0-9.,\[\] ]*")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page: files relative to the page, and what a reader should see."""

    name: str
    title: str
    caption: str
    alt: str
    width: int  # CSS pixels
    height: int


def formula(latex: str, block: bool = True) -> str:
    """A formula of ours as MathML."""
    return convert(latex, display="block" if block else "inline")


def paragraph(text: str, css: str = "") -> str:
    return f"<p{_class(css)}>{escape(text)}</p>"


def paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(paragraph(line) for line in lines)


def bullets(lines: Sequence[str], empty: str) -> str:
    if not lines:
        return paragraph(empty)
    return "<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in lines) + "\n</ul>"


def table(rows: pd.DataFrame, caption: str, css: str = "") -> str:
    """A table of texts; its first column heads the rows, its columns keep their names with underscores as spaces."""
    label = escape(caption, quote=True)
    kinds = [_NUMBER if all(_NUMERIC.fullmatch(str(v)) for v in rows[c]) else "" for c in rows.columns]
    names = [escape(str(c).replace("_", " ")) for c in rows.columns]
    head = "".join(f'<th scope="col"{k}>{c}</th>' for c, k in zip(names, kinds, strict=True))
    lines = []
    for row in rows.itertuples(index=False, name=None):
        first, *rest = [escape(str(value)) for value in row]
        lines.append(
            f'<tr><th scope="row">{first}</th>'
            + "".join(f"<td{k}>{v}</td>" for v, k in zip(rest, kinds[1:], strict=True))
            + "</tr>"
        )
    body = "\n".join(lines) or f'<tr><td colspan="{len(rows.columns)}">no rows in this run</td></tr>'
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n<table{_class(css)}>\n'
        f"<caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def figure(picture: Picture) -> str:
    """A figure with caption and the link to its numbers."""
    name = escape(picture.name, quote=True)
    return (
        f'<figure id="{name}">\n<h3>{escape(picture.title)}</h3>\n'
        f'<img src="figures/{name}.svg" alt="{escape(picture.alt, quote=True)}" width="{picture.width}" '
        f'height="{picture.height}" loading="lazy">\n'
        f'<figcaption>{escape(picture.caption)} <a href="figures/{name}.csv">Data (CSV)</a></figcaption>\n</figure>'
    )


def details(summary: str, inner: str) -> str:
    return f"<details>\n<summary>{escape(summary)}</summary>\n{inner}\n</details>"


def link(href: str, text: str) -> str:
    """A link to a file beside the page. Raises ValueError for anything that leaves the folder."""
    if ":" in href or href.startswith(("/", "\\")) or ".." in href.split("/"):
        raise ValueError(f"a link of the page must stay in its folder, found {href!r}")
    return f'<a href="{escape(href, quote=True)}">{escape(text)}</a>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs) + "</dl>"


def _class(css: str) -> str:
    return f' class="{escape(css, quote=True)}"' if css else ""
