"""Pieces of a page as HTML. Every text that comes from data goes through `escape`; nothing is loaded from elsewhere."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd
from latex2mathml.converter import convert

DATA = "Data (CSV)"  # the text of a link to the numbers behind a figure or a table
UNDER = "\x1f"  # in the text of a cell: what follows stands below it in small print
_NUMBER = ' class="n"'
_NUMERIC = re.compile(r"[-−–0-9.,\[\]† ]*")
_INTERVAL = re.compile(r"([-−0-9.,]+†?) (\[[-−0-9., ]+\])")
_HEADINGS = {
    "net": "net win", "p_holm": "Holm p", "n_seeds": "seeds", "n_pairs": "pairs", "n_prompts": "prompts",
    "n_groups": "groups", "n_invalid": "invalid", "positive_count": "above: count", "positive_mean": "above: mean",
    "negative_count": "below: count", "negative_mean": "below: mean", "wall_s": "wall time, s",
    "peak_rss_mib": "peak memory, MiB", "peak_gpu_mib": "peak GPU memory, MiB", "mean": "mean accuracy",
    "n_near": "near-duplicates", "n_same_dialogue": "same dialogue", "n_rows": "rows", "n_unique": "different pairs",
    "k": "K", "ties_train": "train, ties", "ties_test": "test, ties",
}  # fmt: skip


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


def table(rows: pd.DataFrame, caption: str, css: str = "", group: str | None = None) -> str:
    """A table of texts; its first column heads the rows, its columns keep their names with underscores as spaces.

    group: a column that is not shown but heads each run of equal values. Intervals stand in small print below.
    """
    label = escape(caption, quote=True)
    shown = rows if group is None else rows.drop(columns=group)
    kinds = [
        _NUMBER if all(_NUMERIC.fullmatch(str(v).partition(UNDER)[0]) for v in shown[c]) else "" for c in shown.columns
    ]
    head = "".join(f'<th scope="col"{k}>{_heading(str(c))}</th>' for c, k in zip(shown.columns, kinds, strict=True))
    heads = [None] * len(rows) if group is None else [str(value) for value in rows[group]]
    lines: list[str] = []
    for place, row in enumerate(shown.itertuples(index=False, name=None)):
        if heads[place] is not None and (place == 0 or heads[place] != heads[place - 1]):
            name = escape(str(heads[place]))
            lines.append(f'</tbody>\n<tbody><tr><th colspan="{len(kinds)}" scope="rowgroup">{name}</th></tr>')
        first, *rest = [_cell(str(value)) for value in row]
        cells = "".join(f"<td{k}>{v}</td>" for v, k in zip(rest, kinds[1:], strict=True))
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    body = "\n".join(lines) or f'<tr><td colspan="{len(kinds)}">no rows in this run</td></tr>'
    inner = f"<tbody>\n{body}\n</tbody>".replace("<tbody>\n</tbody>\n", "", 1)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n<table{_class(css)}>\n'
        f"<caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n{inner}\n</table>\n</div>"
    )


def _heading(name: str) -> str:
    return escape(_HEADINGS.get(name, re.sub(r"\bece\b", "ECE", name.replace("_", " "))))


def _cell(text: str) -> str:
    """A value as it is, an interval behind it, and each remark behind UNDER, on a line of its own."""
    value, *remarks = text.split(UNDER)
    found = _INTERVAL.fullmatch(value)
    first, lines = (escape(value), remarks) if found is None else (found.group(1), [found.group(2), *remarks])
    return first + "".join(f'<span class="small">{escape(line)}</span>' for line in lines)


def figure(picture: Picture) -> str:
    """A figure with caption and the link to its numbers."""
    name = escape(picture.name, quote=True)
    return (
        f'<figure id="{name}">\n<h3>{escape(picture.title)}</h3>\n'
        f'<img src="figures/{name}.svg" alt="{escape(picture.alt, quote=True)}" width="{picture.width}" '
        f'height="{picture.height}" loading="lazy">\n'
        f'<figcaption>{escape(picture.caption)} <a href="figures/{name}.csv">{DATA}</a></figcaption>\n</figure>'
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
