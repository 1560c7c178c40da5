"""Ensembles stay out of the paper's figures, and best-of-n, ranking, duels and judge show what their tables hold."""

import pandas as pd
import pytest
from synthetic_study import study

from more_repro import tables
from more_repro.evaluation.paper import printed_numbers
from more_repro.report import catalogue, style
from more_repro.report.figures import calibration, over_optimisation, policies, ranking
from more_repro.report.page.alignment_notes import alignment_notes
from more_repro.report.page.build import make_paper_tables, published_tables
from more_repro.report.run_tables import Study
from more_repro.schemes import ENSEMBLES, PAPER

ENTRIES = {entry.name: entry for entry in catalogue.figures()}
TABLES = {entry.name: entry for entry in catalogue.tables()}
_SHOWS_ENSEMBLES = {"over_optimisation"}


def _printed() -> pd.DataFrame:
    return printed_numbers.table1(printed_numbers.load())


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in _SHOWS_ENSEMBLES])
def test_no_figure_of_the_paper_shows_an_ensemble(name, full_study):
    rows = ENTRIES[name].rows(full_study, "resampled")
    assert "scheme" not in rows.columns or not rows["scheme"].isin(ENSEMBLES).any()


def test_ensembles_have_a_table_of_their_own_and_leave_the_papers_tables_as_they_were(full_study):
    for name, table in make_paper_tables(full_study, published_tables()).items():
        assert "scheme" not in table.columns or not table["scheme"].isin(ENSEMBLES).any(), name
    own = TABLES["ensembles"].rows(full_study)
    assert set(own["scheme"]) == {*ENSEMBLES, "averaging", "multitask", "more"}
    row = own[(own["base"] == "small") & (own["regime"] == "balanced") & (own["scheme"] == "ensemble_minimum")].iloc[0]
    known = full_study.every("seed_summary")
    for column, value in (
        ("regime", "balanced"), ("base", "small"), ("scheme", "ensemble_minimum"), ("source", "webgpt"),
        ("metric", "accuracy"),
    ):  # fmt: skip
        known = known[known[column] == value]
    assert row["webgpt"] == known["estimate"].item()
    assert row["ece_null"] > 0
    assert any("Ensembles are further reward functions" in note for note in alignment_notes(full_study))


def test_a_study_without_ensembles_has_no_rows_and_no_remark_of_them(full_study):
    made = {
        name: table[~table["scheme"].isin(ENSEMBLES)] if "scheme" in table.columns else table
        for name, table in study().items()
    }
    without = Study(full_study.params, made)
    assert TABLES["ensembles"].rows(without).empty
    assert not any("Ensembles" in note for note in alignment_notes(without))
    before = calibration.summary_rows(full_study["seed_summary"], "ece", "resampled", roles=PAPER)
    pd.testing.assert_frame_equal(
        before.reset_index(drop=True),
        calibration.summary_rows(without["seed_summary"], "ece", "resampled", roles=PAPER).reset_index(drop=True),
    )


def test_each_curve_stands_once_for_each_n(full_study):
    rows = over_optimisation.over_optimisation_rows(full_study["best_of_n_schemes"], "resampled")
    assert not rows.duplicated(["base", "scheme", "choice", "n"]).any()
    assert set(rows["regime"]) == {"resampled", "none"}
    figure = ENTRIES["over_optimisation"].draw(full_study, "resampled")
    assert len([axis for axis in figure.axes if axis.has_data()]) == 4  # two bases, score and net win


def test_only_a_curve_that_bends_down_has_a_ring(full_study):
    rows = full_study["best_of_n_schemes"]
    rows = rows[(rows["base"] != "small") & (rows["regime"] != "balanced")]
    figure = over_optimisation.over_optimisation(rows, "resampled", roles=PAPER)
    rings = [line for axis in figure.axes for line in axis.get_lines() if line.get_markersize() == 11]
    assert [line.get_color() for line in rings] == [style.scheme_colour("averaging", PAPER)] * 2
    note = next(note for note in alignment_notes(full_study) if note.startswith("Over-optimisation (base tiny"))
    assert "highest at the largest n = 16 for 7 of 8 schemes; before it: averaging at n = " in note


def test_without_scores_the_panel_says_that_the_judge_gives_none(full_study):
    figure = over_optimisation.over_optimisation(tables.empty("best_of_n_schemes"), "resampled", roles=PAPER)
    assert "gives no scores" in " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert not any(note.startswith("Over-optimisation") for note in alignment_notes(Study(full_study.params, {})))


def test_duels_hold_our_numbers_and_the_printed_ones_unchanged(full_study):
    rows = ranking.duel_rows(
        full_study["scheme_duels"], full_study["seed_summary"], _printed(), "resampled", roles=PAPER
    ).set_index(["data", "base", "scheme"])
    theirs = rows.loc[("published: pythia-1_4b", "pythia-1_4b", "more")]
    assert (theirs["win"], theirs["tie"], theirs["lose"]) == (0.44, 0.22, 0.34)
    assert (theirs["net"], theirs["ece_difference"]) == (pytest.approx(0.10), pytest.approx(0.0109 - 0.0177))
    assert pd.isna(theirs["net_low"])
    assert pd.isna(theirs["n_prompts"])
    summary = full_study["seed_summary"].query(
        "base == 'tiny' and regime == 'resampled' and metric == 'ece' and source == 'align' and trained_on == 'mixture'"
    )
    ece = summary.set_index("scheme")["estimate"]
    assert rows.loc[("this run", "tiny", "more"), "ece_difference"] == pytest.approx(ece["more"] - ece["multitask"])


def test_the_ranking_shows_the_strongest_first_with_ranks_of_the_whole_study(full_study):
    rows = ranking.ranking_rows(full_study["ranking"], "resampled")
    assert set(rows["source"]) == {"all"}
    first, last = rows.iloc[0], rows.iloc[-1]
    assert first["strength"] > last["strength"]
    shown, _ = TABLES["ranking"].shown(TABLES["ranking"].rows(full_study))
    assert shown["strength"].is_monotonic_decreasing
    assert len(shown) == full_study["ranking"]["policy"].nunique()


@pytest.mark.parametrize("note", ["Judge: the shared utility.", "Judge: three people, paid by the hour."])
def test_the_page_says_who_judged_as_the_judge_itself_does(full_study, note):
    judge = pd.DataFrame([{"kind": "any", "note": note}])
    told = alignment_notes(Study(full_study.params, {**full_study.tables, "judge": judge}))[0]
    assert told.startswith(f"{note} Shares of its verdicts, n = ")
    assert "ties 0.250 [0.240, 0.260]" in told


def test_without_a_judge_nothing_is_said_of_one(full_study):
    empty = {**full_study.tables, "judge": tables.empty("judge")}
    assert not any(note.startswith("Judge") for note in alignment_notes(Study(full_study.params, empty)))


def test_the_worst_choice_is_a_reference_and_no_scheme(full_study):
    rows = policies.reference_rows(full_study["win_rates"], "sft", "all")
    assert "worst_choice" in set(rows["scheme"])
    assert "worst_choice" not in set(ENTRIES["fig7"].rows(full_study, "resampled")["scheme"])
