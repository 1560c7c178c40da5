"""Tables of the audit and of the mixture as the page shows them; the CSV beside each has every column."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from more_repro.report.run_tables import Study

_DIGEST = 16  # characters of a digest that a page shows
Shown = tuple[pd.DataFrame, str | None]


def data_tables(study: Study) -> list[tuple[str, str, str, pd.DataFrame]]:
    """(name, title, caption, rows) of the audit and the mixture."""
    return [
        ("audit", "What happened to every pair that was read",
         "Pairs by source, split and reason: each is kept, or dropped for exactly one reason", study["audit"]),
        ("audit_examples", "Examples of dropped pairs",
         "The first of each reason, source and split, texts cut short; the CSV has up to three",
         study["audit_examples"]),
        ("near_duplicates", "Near-duplicates between test and training prompts",
         "Share of different test prompts of which at least half of the runs of eight words stand in one training "
         "prompt of a source, with an interval clustered by the first message; same dialogue: one of the two prompts "
         "is the beginning of the other. They are reported and stay in", study["near_duplicates"]),
        ("near_duplicate_examples", "Examples of near-duplicates",
         "The first of each tested source, texts cut short; share of the test prompt's runs that the training prompt "
         "holds", study["near_duplicate_examples"]),
        ("audit_sources", "Where the pairs come from", "Origin, licence and digest of the kept pairs of each source",
         study["audit_sources"]),
        ("audit_files", "The files that were read",
         "Container and format as their content showed them, with digest and, for a hub set, the commit",
         study["audit_files"]),
        ("mixture_manifest", "What the mixtures hold",
         "Pairs of the first K sources for each regime and seed; equal digests mean the same pairs in the same order",
         study["mixture_manifest"]),
    ]  # fmt: skip


def shown(name: str, table: pd.DataFrame) -> Shown:
    """The rows and columns of one of these tables that fit a page, and the column that heads groups of rows."""
    return _SHOWN[name](table)


def knows(name: str) -> bool:
    """Whether a table is one of these."""
    return name in _SHOWN


def css(name: str) -> str:
    """The style of a table whose cells are texts of some length."""
    return "texts" if name.endswith("_examples") else ""


def _audit(table: pd.DataFrame) -> Shown:
    """A column for each reason, in the order of their first appearance behind read and kept."""
    order = dict.fromkeys(["read", "kept", *sorted(table["reason"].unique())])
    reasons = [reason for reason in order if reason in set(table["reason"])]
    wide = table.pivot_table(index=["source", "split"], columns="reason", values="n_pairs", fill_value=0, sort=False)
    if table.empty:
        return table, None
    return wide[reasons].astype("int64").reset_index().rename_axis(columns=None), None


def _examples(table: pd.DataFrame) -> Shown:
    table = table.drop_duplicates(["source", "split", "reason"])
    columns = ["reason", "place", "prompt", "chosen", "rejected"]
    return table[columns].assign(group=table["source"] + ", " + table["split"]), "group"


def _near(table: pd.DataFrame) -> Shown:
    table = table.iloc[np.argsort(pd.factorize(table["tested_on"])[0], kind="stable")]
    rows = table.assign(group="prompts tested in " + table["tested_on"]).drop(columns="tested_on")
    return rows.rename(columns={"trained_on": "against training prompts of", "n": "test prompts"}), "group"


def _near_examples(table: pd.DataFrame) -> Shown:
    same = table["same_dialogue"].map({True: "yes", False: "no"}).astype("str")
    return table.assign(same_dialogue=same).rename(columns={"tested_on": "tested in", "trained_on": "trained in"}), None


def _digests(table: pd.DataFrame) -> Shown:
    return table.assign(sha256=table["sha256"].str[:_DIGEST] + "…"), None


def _manifest(table: pd.DataFrame) -> Shown:
    named = "regime " + table["regime"] + ", seed " + table["seed"].astype("str")
    return _digests(table)[0].assign(group=named).drop(columns=["regime", "seed"]), "group"


_SHOWN: dict[str, Callable[[pd.DataFrame], Shown]] = {
    "audit": _audit,
    "audit_examples": _examples,
    "near_duplicates": _near,
    "near_duplicate_examples": _near_examples,
    "audit_sources": _digests,
    "audit_files": _digests,
    "mixture_manifest": _manifest,
}
