"""What the page shows of the audit: every count, the licence of each source, and what was detected in each file."""

import pandas as pd

from more_repro.report import catalogue
from more_repro.report.tables import data

TABLES = {entry.name: entry for entry in catalogue.tables()}


def test_the_audit_has_a_row_for_each_split_and_a_column_for_each_reason():
    counts = {("a", "train"): {"read": 9, "kept": 6, "tie": 3}, ("a", "test"): {"read": 4, "kept": 3, "empty": 1}}
    lines = [(*key, reason, n) for key, reasons in counts.items() for reason, n in reasons.items()]
    shown, _ = TABLES["audit"].shown(pd.DataFrame(lines, columns=["source", "split", "reason", "n_pairs"]))
    assert list(shown.columns) == ["source", "split", "read", "kept", "empty", "tie"]
    assert shown.to_dict("records") == [
        {"source": "a", "split": "train", "read": 9, "kept": 6, "empty": 0, "tie": 3},
        {"source": "a", "split": "test", "read": 4, "kept": 3, "empty": 1, "tie": 0},
    ]


def test_the_first_example_of_each_reason_is_shown_under_its_source_and_split():
    texts = {"prompt": "q", "chosen": "a", "rejected": "b"}
    rows = [{"source": "a", "split": "train", "reason": "tie", "place": f"f:{n}", **texts} for n in (1, 2)]
    shown, group = TABLES["audit_examples"].shown(pd.DataFrame(rows))
    assert (shown["place"].tolist(), group, shown["group"].tolist()) == (["f:1"], "group", ["a, train"])
    assert TABLES["audit_examples"].css == "texts"


def test_licence_and_detected_format_of_each_source_are_shown():
    digest, names = "cd" * 32, ["audit", "audit_examples", "near_duplicates", "near_duplicate_examples"]
    sources = {"source": "a", "reader": "auto", "origin": "t.jsonl", "revision": "", "licence": "MIT", "sha256": digest}
    file = {"source": "a", "split": "train", "container": "JSON Lines", "format": "HH transcripts", "sha256": digest}
    study = {name: pd.DataFrame() for name in [*names, "mixture_manifest"]}
    study |= {"audit_sources": pd.DataFrame([sources]), "audit_files": pd.DataFrame([file])}
    tables = {entry.name: entry.rows(study) for entry in data.TABLES}
    assert set(tables) == set(study)
    (source,) = TABLES["audit_sources"].shown(tables["audit_sources"])[0].to_dict("records")
    assert source == sources | {"sha256": "cd" * 8 + "…"}
    (found,) = TABLES["audit_files"].shown(tables["audit_files"])[0].to_dict("records")
    assert found == file | {"sha256": "cd" * 8 + "…"}
