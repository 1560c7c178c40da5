"""The page that people read: verdicts first, then figures, tables, and where every number comes from."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd

from more_repro.evaluation.claims.more_against_controls import RULE as CONTROLS_RULE
from more_repro.report import catalogue, html
from more_repro.report.entries import FigureEntry
from more_repro.report.formatting import texts
from more_repro.report.page.alignment_notes import alignment_notes
from more_repro.report.page.claims import verdict_section
from more_repro.report.page.controls import TITLE as CONTROLS
from more_repro.report.page.controls import controls_section
from more_repro.report.page.tables_section import tables_section
from more_repro.report.run_tables import Study, notes, summary_sentence

CAVEAT = "Every number on this page is computed in this run, or marked as published."
EMBEDDED = (
    "The reward models of the embedded world are tiny and its preferences are invented: it is a control experiment in "
    "which the truth is known, and shares only the names of its sources with the real data sets."
)
DEFINITIONS = (
    ("Margin of a pair, and the confidence that follows from it:",
     r"D = r(x, y_{\mathrm{chosen}}) - r(x, y_{\mathrm{rejected}}), \qquad p = \max(\sigma(D), 1 - \sigma(D))"),
    ("Expected calibration error over M bins of confidence, the n pairs of a bin against all N:",
     r"\mathrm{ECE} = \sum_{m=1}^{M} \frac{n_m}{N} \left| \mathrm{accuracy}_m - \mathrm{confidence}_m \right|"),
    ("MORE weighs the losses of the K sources in every step by the shortest convex combination of their head "
     "gradients:",
     r"\lambda^{*} = \mathrm{argmin}_{\lambda \in \Delta_K} \left\| \sum_{k=1}^{K} \lambda_k g_k \right\|^2, \qquad "
     r"L = \sum_{k=1}^{K} \lambda^{*}_k L_k"),
)  # fmt: skip


def build(
    study: Study,
    paper_tables: dict[str, pd.DataFrame],
    pictures: dict[str, html.Picture],
    runs: Sequence[dict[str, Any]],
    provenance: Sequence[tuple[str, str]],
    stages: Sequence[str],
) -> str:
    """The page as text. pictures: by figure name, `<name>-<regime>` for regimes other than the report's.

    stages: notebooks whose pages lie under notebooks/<stage>.html. provenance: name and value for the footer.
    """
    title = study.params.report.title
    parts: list[tuple[str, str, str]] = [("verdicts", "Verdicts on the claims", verdict_section(study["claims"]))]
    parts.append(("controls", CONTROLS, controls_section(study, CONTROLS_RULE)))
    parts.append(("notes", "Read before the figures", _notes(study)))
    parts += [(key, head, _figures(study, catalogue.figures_of(key), pictures)) for key, head in catalogue.SECTIONS]
    parts += [
        ("tables", "The paper's tables", tables_section(study, paper_tables)),
        ("definitions", "Definitions", "\n".join(html.paragraph(t) + html.formula(f) for t, f in DEFINITIONS)),
        ("notebooks", "Notebooks of this run", _notebooks(stages)),
        ("cost", "What it cost", _cost(runs)),
    ]
    page = Template(_resource("page.html"))
    return page.substitute(
        title=escape(title),
        style=_resource("style.css"),
        header=html.paragraph(summary_sentence(study), "lead")
        + html.paragraph(f"Profile {study.params.profile}. Figures and tables show regime {study.regime}."),
        contents="<ul>" + "".join(f"<li>{html.link('#' + key, heading)}</li>" for key, heading, _ in parts) + "</ul>",
        main="\n".join(_section(*part) for part in parts),
        footer=html.facts(provenance),
    )


def _section(key: str, heading: str, inner: str) -> str:
    title = f'<h2 id="{key}-title">{escape(heading)}</h2>'
    return f'<section id="{key}" aria-labelledby="{key}-title">\n{title}\n{inner}\n</section>'


def _notes(study: Study) -> str:
    embedded = any(source.reader == "embedded" for source in study.params.sources.values())
    caveats = [CAVEAT, *([EMBEDDED] if embedded else [])]
    box = f'<aside class="caveat" aria-label="Caveat">{html.paragraphs(caveats)}</aside>'
    return box + html.bullets([*notes(study), *alignment_notes(study)], "The tables of this run allow no remark.")


def _figures(study: Study, entries: Sequence[FigureEntry], pictures: dict[str, html.Picture]) -> str:
    parts = [html.figure(pictures[entry.name]) for entry in entries if entry.name in pictures]
    for regime in study.other_regimes:
        again = [f"{entry.name}-{regime}" for entry in entries if entry.per_regime]
        drawn = [html.figure(pictures[name]) for name in again if name in pictures]
        if drawn:
            parts.append(html.details(f"The same figures for regime {regime}", "\n".join(drawn)))
    return "\n".join(parts)


def _notebooks(stages: Sequence[str]) -> str:
    if not stages:
        return html.paragraph("No notebook was run.")
    items = "".join(f"<li>{html.link(f'notebooks/{stage}.html', stage)}</li>" for stage in stages)
    return html.paragraph("Each stage is a notebook, shown as it ran.") + f'<ul class="columns">{items}</ul>'


def _cost(runs: Sequence[dict[str, Any]]) -> str:
    rows = pd.DataFrame(
        [(str(r.get("stage", "?")), r.get("wall_s"), r.get("peak_rss_mib"), r.get("peak_gpu_mib")) for r in runs],
        columns=["stage", "wall_s", "peak_rss_mib", "peak_gpu_mib"],
    )
    rows = rows.dropna(axis="columns", how="all") if len(rows) else rows
    total = float(pd.to_numeric(rows["wall_s"]).sum()) if "wall_s" in rows.columns else 0.0
    for column in rows.columns.drop("stage"):
        rows[column] = pd.to_numeric(rows[column]).astype("float64")
    shown = texts(rows, default=1)
    caption = (
        f"Wall time and peak memory of each stage the last time it ran; {total:,.0f} s in all, stages added up. Models "
        "and policies that an earlier run had finished with the same inputs are taken from the scratch folder and cost "
        "nothing here: a run from nothing takes longer."
    )
    return html.table(shown, caption)


def _resource(name: str) -> str:
    return files(__package__).joinpath("template", name).read_text(encoding="utf-8").strip()
