"""The verdict table: a row per claim, a column per regime of this run and one for the published numbers."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from more_repro.report import html
from more_repro.report.formatting import BLANK, interval

_CLASS = {"supported": "supported", "not supported": "not", "undecided": "undecided"}
_SIGN = {"supported": "✓", "not supported": "✗", "undecided": "?"}  # colour is never the only mark


def verdict_section(claims: pd.DataFrame) -> str:
    """HTML of the claims: verdict, estimate with interval and n; rule and sentence of each below."""
    if claims.empty:
        return html.paragraph("No claim was judged in this run.")
    columns = list(dict.fromkeys(claims["data"]))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("claim", "statement", *columns))
    body = "\n".join(_row(str(claim), part, columns) for claim, part in claims.groupby("claim", sort=True))
    table = (
        '<div class="scroll" role="region" aria-label="Verdicts on the claims" tabindex="0">\n<table class="claims">\n'
        "<caption><span>Each verdict follows from a rule that was written before the numbers. Below it: the rule's "
        "first estimate with its interval, and on how many rows it rests; what is estimated is said under the table."
        f"</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )
    words = "\n".join(_words(str(claim), part) for claim, part in claims.groupby("claim", sort=True))
    return table + html.details("The rule and the sentence behind each verdict", words)


def _words(claim: str, part: pd.DataFrame) -> str:
    """Sentences of one claim, then each rule once, with the data that it judges."""
    lines = [f"{data}: {sentence}" for data, sentence in zip(part["data"], part["sentence"], strict=True)]
    rules = part.groupby("rule", sort=False)["data"].agg(", ".join)
    told = [html.paragraph(f"Rule for {data}. {rule}", "quiet") for rule, data in rules.items()]
    return f"<h3>{escape(claim)}</h3>\n" + html.bullets(lines, "No sentence.") + "\n".join(told)


def _row(claim: str, part: pd.DataFrame, columns: list[str]) -> str:
    first = part.drop_duplicates("data").set_index("data")
    cells = [_cell(first.loc[name].to_dict()) if name in first.index else f"<td>{BLANK}</td>" for name in columns]
    statement = escape(str(part["statement"].iloc[0]))
    return f'<tr><th scope="row">{escape(claim)}</th><td>{statement}</td>{"".join(cells)}</tr>'


def _cell(row: Mapping[Any, Any]) -> str:
    verdict = str(row["verdict"])
    size = f"n = {int(row['n'])}" if int(row["n"]) > 0 else ""
    estimate = interval(float(row["estimate"]), float(row["low"]), float(row["high"]))
    numbers = "<br>".join(escape(line) for line in (estimate, size) if line and line != BLANK)
    css = _CLASS.get(verdict, "undecided")
    sign = _SIGN.get(verdict, "?")
    return (
        f'<td><span class="verdict {css}"><span aria-hidden="true">{sign} </span>{escape(verdict)}</span>'
        f'<span class="small">{numbers}</span></td>'
    )
