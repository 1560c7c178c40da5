"""The audit and the mixture."""

import numpy as np
import pandas as pd

from more_repro.report.entries import Shown, TableEntry

_DIGEST = 16  # characters of a digest that a page shows


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


TABLES = (
    TableEntry(
        name="audit",
        title="What happened to every pair that was read",
        order=150,
        caption="Pairs by source, split and reason: each is kept, or dropped for exactly one reason",
        rows=lambda s: s["audit"],
        shown=_audit,
    ),
    TableEntry(
        name="audit_examples",
        title="Examples of dropped pairs",
        order=160,
        caption="The first of each reason, source and split, texts cut short; the CSV has up to three",
        rows=lambda s: s["audit_examples"],
        shown=_examples,
        css="texts",
    ),
    TableEntry(
        name="near_duplicates",
        title="Near-duplicates between test and training prompts",
        order=170,
        caption=(
            "Share of different test prompts of which at least half of the runs of eight words stand in one training "
            "prompt of a source, with an interval clustered by the first message; same dialogue: one of the two "
            "prompts is the beginning of the other. They are reported and stay in"
        ),
        rows=lambda s: s["near_duplicates"],
        shown=_near,
    ),
    TableEntry(
        name="near_duplicate_examples",
        title="Examples of near-duplicates",
        order=180,
        caption=(
            "The first of each tested source, texts cut short; share of the test prompt's runs that the training "
            "prompt holds"
        ),
        rows=lambda s: s["near_duplicate_examples"],
        shown=_near_examples,
        css="texts",
    ),
    TableEntry(
        name="audit_sources",
        title="Where the pairs come from",
        order=190,
        caption="Origin, licence and digest of the kept pairs of each source",
        rows=lambda s: s["audit_sources"],
        shown=_digests,
    ),
    TableEntry(
        name="audit_files",
        title="The files that were read",
        order=200,
        caption="Container and format as their content showed them, with digest and, for a hub set, the commit",
        rows=lambda s: s["audit_files"],
        shown=_digests,
    ),
    TableEntry(
        name="mixture_manifest",
        title="What the mixtures hold",
        order=210,
        caption=(
            "Pairs of the first K sources for each regime and seed; equal digests mean the same pairs in the same order"
        ),
        rows=lambda s: s["mixture_manifest"],
        shown=_manifest,
    ),
)
