"""Temperature, re-use, length, influence and null columns: the right rows stand where they are drawn."""

import numpy as np
import pandas as pd
import pytest

from more_repro.report import catalogue
from more_repro.report.figures import calibration_controls as control
from more_repro.report.figures import length_bias, published_noise, regression
from more_repro.report.html import UNDER
from more_repro.report.page.build import make_paper_tables, published_tables
from more_repro.report.paper_tables.null_columns import folded
from more_repro.report.run_tables import placebo_sentences
from more_repro.report.style import NotMeasured
from more_repro.schemes import PAPER


@pytest.fixture(scope="module")
def made(full_study):
    return make_paper_tables(full_study, published_tables())


def test_temperature_rows_join_before_after_and_the_band_after(full_study):
    rows = control.temperature_rows(full_study["seed_summary"], full_study["metrics"], "resampled", roles=PAPER)
    assert not rows.duplicated(["base", "scheme"]).any()
    assert {"multitask", "more", "averaging", "raw"} <= set(rows["scheme"])
    assert "single" not in set(rows["scheme"])
    assert rows[["before", "after", "null_low", "null_high"]].notna().all(axis=None)
    assert (rows["after"] < rows["before"]).all()
    metrics = full_study["metrics"]
    one = metrics[(metrics["base"] == "tiny") & (metrics["scheme"] == "more") & (metrics["regime"] == "resampled")]
    one = one[(one["source"] == "all") & (one["trained_on"] == "mixture")]
    row = rows[(rows["base"] == "tiny") & (rows["scheme"] == "more")].iloc[0]
    assert row["before"] == pytest.approx(one["ece"].mean())
    assert row["null_high"] == pytest.approx(one["ece_after_temperature_null_high"].mean())


def test_reuse_shows_sources_whose_passes_differ_and_no_others(full_study):
    rows = control.reuse_rows(full_study["seed_summary"], full_study["mixture_summary"], ("multitask", "more"))
    assert set(rows["source"]) == {"oasst1", "webgpt"}
    assert set(zip(rows["regime"], rows["mean_passes"], strict=True)) == {("balanced", 2.0), ("resampled", 16.0)}
    assert set(rows["scheme"]) == {"multitask", "more"}
    assert not rows.duplicated(["base", "source", "scheme", "mean_passes"]).any()
    same = full_study["mixture_summary"].assign(mean_passes=1.0)
    assert control.reuse_rows(full_study["seed_summary"], same).empty


def test_length_rows_hold_each_scheme_once_and_singles_on_their_own_source(full_study):
    rows = length_bias.length_rows(full_study["length_bias"], "resampled", roles=PAPER)
    assert not rows.duplicated(["base", "scheme", "source"]).any()
    top = rows[rows["scheme"] == "top"]
    assert (top["trained_on"] == top["source"]).all()
    assert "length" not in set(rows["scheme"])
    assert set(rows["statistic"]) == {"longer_excess"}
    assert "all" not in set(rows["source"])


def test_leave_one_out_is_in_order_and_of_this_run(full_study):
    rows = regression.leave_one_out_rows(full_study["influence"])
    assert rows["estimate_without"].is_monotonic_increasing
    assert set(rows["data"]) == {"this run"}
    text = " ".join(t.get_text() for t in regression.leave_one_out(full_study["influence"].iloc[:0], roles=PAPER).texts)
    assert "not measured" in text
    with pytest.raises(NotMeasured):
        regression.leave_one_out.__wrapped__(full_study["influence"].iloc[:0], roles=PAPER)


def test_published_figure_holds_the_differences_of_tables_1_and_2(full_study):
    rows = published_noise.published_rows(full_study["published_noise"])
    assert set(rows["table"]) == {"table1", "table2"}
    assert set(rows["scheme"]) == {"more"}


def test_ours_and_published_ece_have_their_null_beside_them(made, full_study):
    metrics = full_study["metrics"]
    for name, source in (("table1", "align"), ("table2", "mean")):
        table = made[name]
        place = list(table.columns).index("ece_null")
        assert table.columns[place - 1].startswith("ece")
        row = table[(table["base"] == "tiny") & (table["scheme"] == "more")].iloc[0]
        own = metrics[(metrics["base"] == "tiny") & (metrics["scheme"] == "more")]
        own = own[(own["regime"] == "resampled") & (own["trained_on"] == "mixture")]
        plain = own[~own["source"].isin(["all", "align"])] if source == "mean" else own[own["source"] == source]
        assert row["ece_null"] == pytest.approx(plain["ece_null_mean"].mean())
        assert np.isnan(row["ece_null_low"]) == (source == "mean")
        printed = table[(table["data"] == "published: pythia-1_4b") & (table["scheme"] == "more")].iloc[0]
        assert (printed["ece_null"], printed["ece_null_high"]) == (0.015, 0.024)
    outliers = made["table4"].set_index(["data", "source", "scheme"])
    assert outliers.loc[("this run", "helpful", "single"), "ece_null"] == pytest.approx(0.7 / np.sqrt(1000))
    assert outliers.loc[("published: pythia-1_4b", "helpful", "more"), "ece_null"] == 0.015
    assert np.isnan(outliers.loc[("published: pythia-1_4b", "harmless", "more"), "ece_null"])
    assert len(made["table2"]) == len(made["table2"].drop_duplicates(["data", "base", "scheme"]))
    assert "ece_null" not in made["table3"].columns


def test_page_shows_combined_rows_and_names_the_band(full_study):
    (paired,) = [entry for entry in catalogue.tables() if entry.name == "paired"]
    rows, group = paired.shown(full_study["paired"])
    assert group == "group"
    combined = full_study["paired"]["seed"].eq("combined").sum()
    assert len(rows) == combined
    assert rows.loc[rows["metric"] == "ece", "null"].eq("-0.010 to +0.010").all()
    assert rows.loc[rows["metric"] != "ece", "null"].eq("–").all()


@pytest.mark.parametrize(("low", "said"), [(-0.9, "excludes 0: the coefficient of ECE is confounded"), (-2.0, "as it")])
def test_the_placebo_sentence_follows_its_interval(full_study, low, said):
    row = full_study["regression"].iloc[[0]].assign(outcome="net_win", term="ece_temperature", estimate=-0.5)
    (line,) = placebo_sentences(row.assign(low=low, high=0.1 if low < -1 else -0.1))
    assert said in line
    assert placebo_sentences(row.assign(low=np.nan)) == []


def test_an_ece_whose_null_is_far_from_multitasks_is_marked():
    nulls = {"multitask": 0.02, "more": 0.0249, "top": 0.026}
    rows = pd.DataFrame({"scheme": list(nulls), "ece": 0.05, "ece_null": list(nulls.values()), "group": "one"})
    rows = rows.assign(ece_difference=[np.nan, -0.01, -0.01], ece_noise_low=-0.012, ece_noise_high=0.012)
    shown = pd.DataFrame({"scheme": list(nulls), "ece": "0.0500 [0.0400, 0.0600]", "ece_null": "0.020"})
    shown = shown.assign(ece_difference="", ece_noise_low="", ece_noise_high="")
    cells = [cell.split(UNDER) for cell in folded(shown, rows, PAPER)["ece"]]
    assert [cell[0] for cell in cells] == [*2 * ["0.0500 [0.0400, 0.0600]"], "0.0500† [0.0400, 0.0600]"]
    assert cells[1][1:] == ["null 0.020", "to multitask -0.010", "noise -0.012 to 0.012"]
    assert cells[2][1:] == ["null 0.020"]
