"""Figures: every one draws for any study, says so where there is nothing, and gives equal bytes."""

import re

import numpy as np
import pandas as pd
import pytest
from report_params import SMALL, SOURCES, odd_params
from synthetic_study import study

from more_repro import tables
from more_repro.params import load_params
from more_repro.report import catalogue, style
from more_repro.report.figures import (
    number_of_sources,
    policies,
    regression,
    reliability,
    scheme,
    scheme_margins,
    transfer,
)
from more_repro.report.row_selection import first_seed, of_regime, subset_size, whole
from more_repro.report.run_tables import Study
from more_repro.schemes import PAPER

ENTRIES = catalogue.figures()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_figure_draws_a_full_study(entry, full_study):
    figure = entry.draw(full_study, "resampled")
    assert "not measured" not in _texts(figure)
    assert len(entry.rows(full_study, "resampled")) > 0


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_figure_of_an_empty_study_says_not_measured(entry, full_study):
    empty = Study(full_study.params, {})
    figure = entry.draw(empty, "resampled")
    # Fig 2 is a diagram first: it stands without a run.
    assert entry.name == "fig2" or "not measured: " in _texts(figure)
    assert style.svg_bytes(figure).startswith(b"<?xml")
    assert entry.rows(empty, "resampled").empty


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_figure_draws_an_odd_study(entry, odd_study):
    """One base, one seed (no intervals), seven sources with hostile or long names, no schemes but multitask."""
    assert style.svg_bytes(entry.draw(odd_study, "mine")).startswith(b"<?xml")
    entry.rows(odd_study, "mine")


@pytest.mark.parametrize("name", ["fig1_left", "fig4", "fig7"])
def test_equal_tables_give_equal_bytes(name, full_study):
    entry = next(entry for entry in ENTRIES if entry.name == name)
    one, two = (style.svg_bytes(entry.draw(full_study, "resampled")) for _ in range(2))
    assert one == two
    assert b"<dc:date>" not in one


def test_svg_loads_nothing_from_outside(full_study):
    svg = style.svg_bytes(transfer.fig1_left(full_study["metrics"], "resampled", roles=PAPER)).decode()
    assert not re.search(r'(?:src|href)="(?!#|data:)', svg)


def test_every_known_scheme_has_its_own_colour_and_marker():
    schemes = ("raw", "top", "averaging", "multitask", "more", "more_slow", "proportional", "random")
    schemes += ("smoothed", "centered", "sum_to_zero", "ensemble_weighted", "ensemble_minimum", "ensemble_cautious")
    assert (
        len({style.scheme_colour(s, PAPER) for s in schemes})
        == len({style.scheme_marker(s, PAPER) for s in schemes})
        == 14
    )
    assert style.scheme_colour("my_own", PAPER) == style.scheme_colour("my_own", PAPER)


def test_show_refuses_an_empty_alt_text(full_study):
    with pytest.raises(ValueError, match="alt text"):
        style.show(style.not_measured("x"), " ")


def test_show_puts_the_alt_text_where_nbconvert_reads_it(monkeypatch):
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda data, **more: calls.append((data, more)))
    style.show(style.not_measured("no run"), "An empty panel")
    data, more = calls[0]
    assert set(data) == {"image/png", "text/plain"}
    assert more["metadata"]["image/png"]["alt"] == "An empty panel"


def test_rows_of_a_regime_hold_raw_and_length_and_no_other_regime(full_study):
    rows = of_regime(full_study["metrics"], "resampled")
    assert set(rows["regime"]) == {"resampled", "none"}
    assert {"raw", "length"} <= set(rows["scheme"])
    assert not whole(rows)["trained_on"].str.startswith("first").any()


def test_first_seed_keeps_one_seed_of_each_model(full_study):
    rows = first_seed(full_study["margin_histogram"])
    assert set(rows["seed"]) == {0}


def test_fig6_places_each_model_at_its_number_of_sources(full_study):
    rows = number_of_sources.fig6_rows(full_study["seed_summary"], "resampled", 5, roles=PAPER)
    assert subset_size("first3", 5) == 3
    assert subset_size("mixture", 5) == 5
    assert subset_size("helpful", 5) is None
    mixed = rows[rows["scheme"] != "single"]
    assert sorted(set(mixed["n_mixed"])) == [2, 3, 4, 5]
    assert set(rows["source"]) == {"helpful", "harmless"}
    assert (rows.loc[rows["scheme"] == "single", "trained_on"] == rows.loc[rows["scheme"] == "single", "source"]).all()


def test_fig5_compares_single_models_on_their_own_source_only(full_study):
    rows = scheme_margins.fig5_rows(full_study["margin_histogram"], "resampled", ("helpful", "harmless"), roles=PAPER)
    single = rows[rows["scheme"] == "single"]
    assert (single["trained_on"] == single["source"]).all()
    assert set(rows["source"]) == {"helpful", "harmless"}


def test_fig7_joins_each_policy_with_its_own_reward_model(full_study):
    rows = policies.fig7_rows(full_study["win_rates"], full_study["metrics"], "resampled")
    assert len(rows) == 2 * 4 * 3
    metrics = full_study["metrics"]
    row = rows.iloc[5]
    wanted = (metrics["source"] == "align") & (metrics["base"] == row["base"]) & (metrics["seed"] == row["seed"])
    wanted &= (metrics["scheme"] == row["scheme"]) & (metrics["regime"] == "resampled")
    wanted &= metrics["trained_on"] == "mixture"
    assert row["ece"] == metrics.loc[wanted, "ece"].item()


def test_the_partial_plot_draws_the_table_of_the_regression(full_study):
    """Evaluation holds those values free of groups and accuracy; here they are drawn as they stand."""
    influence = full_study["influence"]
    rows = influence[influence["data"].eq("this run") & influence["outcome"].eq("net_win")]
    (axis,) = regression.regression(influence, roles=PAPER).axes
    marks = {tuple(line.get_xydata()[0]) for line in axis.lines if len(line.get_xdata()) == 1}
    assert set(zip(rows["partial_term"], rows["partial_outcome"], strict=True)) <= marks
    with pytest.raises(style.NotMeasured, match="3 aligned reward models are too few"):
        regression.regression.__wrapped__(rows.head(3), roles=PAPER)


def test_short_leaves_no_control_character_and_no_long_text():
    assert style.short("a\x00b\nc") == "a b c"
    assert len(style.short("x" * 500)) <= 22


def test_tables_are_checked_at_the_door(full_study):
    with pytest.raises(tables.TableError, match="metrics"):
        Study(full_study.params, {"metrics": full_study["metrics"].drop(columns="ece")})["metrics"]


def test_study_rows_come_in_the_order_of_the_params():
    params = load_params(SMALL)
    made = study(sources=tuple(reversed(SOURCES)))
    ordered = Study(params, made)
    names = [s for s in dict.fromkeys(ordered["transfer"]["trained_on"])]
    assert names == list(params.sources)


def test_odd_params_are_valid():
    assert odd_params().report.regime == "mine"


def _texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_positions_of_an_svg_are_short_and_its_ids_whole(full_study):
    figure = transfer.fig1_left(full_study["metrics"], "resampled", roles=PAPER)
    svg = style.svg_bytes(figure).decode()
    assert not re.search(r' d="[^"]*\.\d{3}', svg)
    ids = set(re.findall(r'id="([^"]+)"', svg))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= ids


@pytest.mark.parametrize("name", ["fig4", "fig6"])
def test_ece_axes_share_one_scale_from_zero_and_hide_no_point(name, full_study):
    entry = next(entry for entry in ENTRIES if entry.name == name)
    axes = [axis for axis in entry.draw(full_study, "resampled").axes if axis.has_data()]
    limits = {axis.get_ylim() for axis in axes}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == 0
    rows = entry.rows(full_study, "resampled")
    assert high >= rows.loc[rows["base"] != "none", "estimate"].max()


def test_accuracy_of_singles_and_reliability_have_panels_for_every_base(full_study):
    for name in ("fig1_left", "reliability"):
        entry = next(entry for entry in ENTRIES if entry.name == name)
        assert set(entry.rows(full_study, "resampled")["base"]) == {"tiny", "small"}
        titles = " ".join(axis.get_title(loc="left") for axis in entry.draw(full_study, "resampled").axes)
        assert "tiny" in titles
        assert "small" in titles
    heat = transfer.fig1_left(full_study["metrics"], "resampled", roles=PAPER)
    assert len({axis.collections[0].get_clim() for axis in heat.axes if axis.get_title(loc="left")}) == 1


def test_a_bin_that_is_nearly_always_wrong_is_not_cut_off(full_study):
    table = full_study["reliability"].copy()
    table.loc[table["bin_low"].round(1) == 0.8, "accuracy"] = 0.07
    figure = reliability.reliability(table, "resampled", roles=PAPER)
    panels = [axis for axis in figure.axes if axis.has_data()]
    tops = [max(bar.get_y() + bar.get_height() for bar in axis.patches) for axis in panels]
    assert all(axis.get_ylim()[0] < top < 0.07 for axis, top in zip(panels, tops, strict=True))


def test_lambda_is_drawn_for_every_scheme_in_which_it_moves(full_study):
    assert set(scheme.fig2_rows(full_study["training_log"], "resampled")["scheme"]) == {
        "more", "more_slow", "proportional", "random",
    }  # fmt: skip
    figure = scheme.fig2(full_study["training_log"], "resampled", roles=PAPER)
    panels = [axis for axis in figure.get_axes() if axis.get_xlabel() == "training step"]
    assert len(panels) == 4  # and multitask, whose lambda stands still, has none


def test_a_long_run_draws_every_nth_step_and_its_mean_over_all(full_study):
    log = full_study["training_log"]
    one = log[(log["scheme"] == "more") & (log["trained_on"] == "mixture")].drop_duplicates(
        ["base", "regime", "source"]
    )
    long = [one.assign(step=step, loss=float(step)) for step in range(1, 901)]
    rows = scheme.fig2_rows(pd.concat(long, ignore_index=True), "resampled", schemes=("more",))
    steps = sorted(rows["step"].unique())
    assert len(steps) == 300
    assert np.diff(steps).tolist() == [3] * 299
    middle = rows[rows["step"].between(50, 800)]
    assert np.allclose(middle["loss_mean"], middle["step"])
