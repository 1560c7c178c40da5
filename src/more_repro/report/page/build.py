"""Reads every table of a run and writes the report folder: index.html, figures/, tables/, summary.json."""

import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from more_repro.params import Params
from more_repro.paths import Paths, stage_names
from more_repro.report import catalogue
from more_repro.report.page import page
from more_repro.report.page.run_files import load_runs
from more_repro.report.page.write import write_figures, write_json, write_table
from more_repro.report.paper_tables import paper
from more_repro.report.paper_tables.null_columns import with_null
from more_repro.report.run_tables import Study, finite
from more_repro.store.atomic import write_text
from more_repro.store.digests import json_digest

_SHOWN_VERSIONS = ("more-repro", "numpy", "pandas", "matplotlib")


def published_tables() -> dict[str, pd.DataFrame]:
    """The paper's printed tables: table1, table2, table3, outliers (Tables 4 to 6)."""
    from more_repro.evaluation.paper import printed_numbers

    printed = printed_numbers.load()
    return {
        "table1": printed_numbers.table1(printed),
        "table2": printed_numbers.table2(printed),
        "table3": printed_numbers.table3(printed),
        "outliers": printed_numbers.tables4_6(printed),
    }


def git_revision(root: Path) -> str:
    """The commit that is checked out, "unknown" where git cannot tell."""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def build_report(
    params: Params,
    paths: Paths,
    tables: Mapping[str, pd.DataFrame],
    published: dict[str, pd.DataFrame] | None = None,
    runs: Sequence[dict[str, Any]] | None = None,
    revision: str | None = None,
    out: Path | None = None,
) -> None:
    """Write the whole report folder. Equal input gives equal bytes.

    published, runs, revision, out: read from the package, the run files, git and paths.report where not given.
    """
    printed = published_tables() if published is None else published
    facts = load_runs(params, paths) if runs is None else list(runs)
    commit = git_revision(paths.root) if revision is None else revision
    folder = paths.report if out is None else out
    study = Study(params, tables)
    made = make_paper_tables(study, printed)
    for name, table in [*made.items(), *((entry.name, entry.rows(study)) for entry in catalogue.tables())]:
        write_table(folder / "tables" / f"{name}.csv", table)
    write_table(folder / "tables" / "controls.csv", study["controls"])
    pictures = write_figures(study, folder / "figures")
    text = page.build(study, made, pictures, facts, _provenance(params, commit), stage_names(params))
    write_text(folder / "index.html", text)
    write_json(folder / "summary.json", summary(study, facts, commit))


def make_paper_tables(study: Study, published: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables 1 to 6 (and on, with more bases than three) by name; `<name>-<regime>` for the other regimes."""
    made = _of_regime(study, study.regime, published)
    for regime in study.other_regimes:
        made |= {f"{name}-{regime}": table for name, table in _of_regime(study, regime, {}).items() if len(table)}
    return made


def _of_regime(study: Study, regime: str, published: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    seeds, align, roles = study["seed_summary"], study.params.align.sources, study.roles
    made = {
        "table1": paper.table1(
            seeds, study["perplexity"], study["scheme_duels"], published.get("table1"), regime, roles=roles
        ),
        "table2": paper.table2(seeds, published.get("table2"), regime, roles=roles),
        "table3": paper.table3(study["audit"], study["mixture_summary"], published.get("table3"), regime),
        **paper.tables4_6(study["outliers"], published.get("outliers"), regime, align, roles=roles),
    }
    return with_null(study, made, regime)


def summary(study: Study, runs: Sequence[dict[str, Any]], revision: str) -> dict[str, Any]:
    """What a program wants to know of the run: claims with verdicts, counts, time."""
    claims = study["claims"]
    return {
        "profile": study.params.profile,
        "revision": revision,
        "params_sha256": params_digest(study.params),
        "regime": study.regime,
        "n_reward_models": study.n_reward_models,
        "wall_s": round(sum(float(run.get("wall_s") or 0.0) for run in runs), 1),
        "claims": [
            {name: row[name] for name in ("claim", "data", "verdict", "n")}
            | {name: finite(row[name]) for name in ("estimate", "low", "high")}
            for row in claims.to_dict("records")
        ],
    }


def params_digest(params: Params) -> str:
    """sha256 of the params, whatever the layout of their file."""
    return json_digest(params.model_dump(mode="json"))


def _provenance(params: Params, revision: str) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version(name)}" for name in _SHOWN_VERSIONS)
    return [
        ("profile", params.profile),
        ("revision", revision),
        ("params sha256", params_digest(params)[:16]),
        ("data seed", str(params.data.seed)),
        ("statistics seed", str(params.stats.seed)),
        ("versions", versions),
    ]
