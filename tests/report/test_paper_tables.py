"""Tables 1 to 6: a number of ours stands where the table says, a published one beside it, unchanged."""

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.report import catalogue
from more_repro.report.page.build import make_paper_tables, published_tables
from more_repro.report.paper_tables import paper
from more_repro.report.run_tables import Study
from more_repro.schemes import PAPER


@pytest.fixture(scope="module")
def made(full_study) -> dict[str, pd.DataFrame]:
    return make_paper_tables(full_study, published_tables())


def _estimate(study: Study, **wanted) -> float:
    rows = study["seed_summary"]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows["estimate"].item()


def test_table2_has_every_base_and_scheme_and_the_length_rule(made, full_study):
    ours = made["table2"][made["table2"]["data"] == "this run"]
    schemes = {"raw", "top", "averaging", "multitask", "more", "more_slow", "proportional", "random"}
    for base in ("tiny", "small"):
        assert set(ours.loc[ours["base"] == base, "scheme"]) == schemes
    assert ours["scheme"].tolist().count("length") == 1
    assert not ours.duplicated(["base", "scheme"]).any()


def test_table2_numbers_are_those_of_the_summary(made, full_study):
    table = made["table2"]
    row = table[(table["data"] == "this run") & (table["base"] == "small") & (table["scheme"] == "more")].iloc[0]
    key = {"base": "small", "regime": "resampled", "scheme": "more", "trained_on": "mixture"}
    assert row["webgpt"] == _estimate(full_study, **key, source="webgpt", metric="accuracy")
    assert row["mean"] == _estimate(full_study, **key, source="mean", metric="accuracy")
    assert row["ece"] == _estimate(full_study, **key, source="mean", metric="ece")


def test_published_rows_stand_beside_ours_unchanged(made):
    table = made["table2"]
    row = table[(table["data"] == "published: pythia-1_4b") & (table["scheme"] == "more")].iloc[0]
    assert (row["helpful"], row["ece"]) == (pytest.approx(0.6407), 0.0364)
    assert np.isnan(row["helpful_low"])
    assert (table["data"].str.startswith("published")).sum() == 20


def test_table1_has_perplexity_and_the_duel_against_multitask(made, full_study):
    table = made["table1"]
    row = table[(table["base"] == "tiny") & (table["scheme"] == "more") & (table["data"] == "this run")].iloc[0]
    duel = full_study["scheme_duels"]
    duel = duel[(duel["base"] == "tiny") & (duel["regime"] == "resampled") & (duel["scheme"] == "more")]
    assert row["win"] == duel.loc[duel["source"] == "all", "win"].item()
    texts = full_study["perplexity"]
    texts = texts[(texts["base"] == "tiny") & (texts["regime"] == "resampled") & (texts["scheme"] == "more")]
    assert row["perplexity_helpful"] == pytest.approx(texts.loc[texts["source"] == "helpful", "mean_perplexity"].mean())
    assert (table["scheme"] == "untuned").sum() == 2  # ours and the published policy
    multitask = table[(table["scheme"] == "multitask") & (table["data"] == "this run")]
    assert multitask["win"].isna().all()


def test_table1_has_every_printed_number_beside_ours(made):
    printed = published_tables()["table1"]
    theirs = made["table1"][made["table1"]["data"].str.startswith("published")].reset_index(drop=True)
    assert theirs["data"].tolist()[0] == "published"  # the unaligned policy
    for column in printed.columns.drop("base"):
        assert theirs[column].tolist() == pytest.approx(printed[column].tolist(), nan_ok=True) or column == "scheme"
    assert theirs["scheme"].tolist() == printed["scheme"].tolist()
    assert theirs.loc[theirs["scheme"] == "untuned", "perplexity_helpful"].tolist() == [15.48]


def test_table3_counts_kept_pairs_with_published_beside(made):
    row = made["table3"].set_index("source").loc["oasst1"]
    assert (row["train"], row["unique_pairs"], row["published_train"]) == (2400, 150, 18165)
    assert (row["ties_train"], row["ties_test"]) == (14, 14)


def test_table3_has_no_ties_where_none_was_dropped(full_study):
    audit = full_study["audit"]
    table = paper.table3(audit[audit["reason"] != "tie"], full_study["mixture_summary"], None, "resampled")
    assert set(table["ties_train"]) == {0}


def test_the_audit_table_has_a_column_for_each_reason(full_study):
    (audit,) = [entry for entry in catalogue.tables() if entry.name == "audit"]
    rows, _ = audit.shown(full_study["audit"])
    assert list(rows.columns) == ["source", "split", "read", "kept", "duplicate", "tie"]
    assert (rows["read"] == rows[["kept", "duplicate", "tie"]].sum(axis=1)).all()
    assert len(rows) == 3 * len(full_study.params.sources)


def test_outlier_tables_hold_one_base_each_and_its_published_neighbour(made):
    assert set(made["table4"]["data"]) == {"this run", "published: pythia-1_4b"}
    assert set(made["table6"]["data"]) == {"published: llama2-7b"}
    ours = made["table4"][made["table4"]["data"] == "this run"]
    assert set(ours["source"]) == {"helpful", "harmless"}
    assert len(ours) == 6


def test_other_regimes_have_their_own_tables_without_published_rows(made):
    assert set(made["table2-balanced"]["data"]) == {"this run"}


def test_missing_parts_leave_tables_empty_not_broken(full_study):
    made = make_paper_tables(Study(full_study.params, {}), {})
    assert all(table.empty for name, table in made.items() if name != "table3")
    only = paper.table1(
        full_study["seed_summary"],
        tables.empty("perplexity"),
        tables.empty("scheme_duels"),
        None,
        "resampled",
        roles=PAPER,
    )
    assert only["accuracy"].notna().any()
