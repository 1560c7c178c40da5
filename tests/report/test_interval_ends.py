"""Intervals that figures print or draw: the longer side in heat maps, and the interval of a median."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from more_repro.report import drawing, style
from more_repro.report.figures import diversity, lengths, transfer


def test_the_longer_side_of_an_interval_is_printed():
    rows = pd.DataFrame({
        "trained_on": ["a", "a"], "tested_on": ["a", "b"], "estimate": [0.9, 0.4], "low": [0.7, np.nan],
        "high": [0.95, np.nan], "n": 9, "n_prompts": 9,
    })  # fmt: skip
    assert drawing.with_half(rows)["half"].tolist() == pytest.approx([0.2, np.nan], nan_ok=True)
    texts = [text.get_text() for text in transfer.transfer(rows).axes[0].texts]
    assert texts == ["0.90", "±0.20", "0.40"]


def test_the_interval_of_each_median_is_drawn():
    spreads = {"q10": 10.0, "q25": 20.0, "median": 30.0, "q75": 40.0, "q90": 50.0}
    rows = [
        ("s", f"{name}_{what}_words", value, value - 3, value + 5, 9, 9)
        for name, value in spreads.items()
        for what in ("prompt", "chosen", "rejected")
    ]
    columns = ["source", "statistic", "estimate", "low", "high", "n", "n_prompts"]
    figure = lengths.lengths(pd.DataFrame(rows, columns=columns))
    dark = [
        tuple(line.get_segments()[0][:, 0])
        for axis in figure.axes
        for line in axis.collections
        if tuple(line.get_color()[0][:3]) == pytest.approx(to_rgb(style.INK))
    ]
    assert dark == [(27.0, 35.0)] * 3


def test_pairs_that_two_sources_compare_stand_beside_the_estimates():
    columns = ["source_a", "source_b", "measure", "estimate", "low", "high", "n"]
    both = [(a, b) for a in "ab" for b in "ab"]
    rows = [(a, b, m, 0.6, 0.5, 0.7, 9) for a, b in both for m in ("agreement", "conflict")]
    seen = [("a", "b", "shared_opposed", 0.9, 0.75, 1.0, 4), ("b", "a", "shared_opposed", np.nan, np.nan, np.nan, 0)]
    found = []
    for extra in ([], seen):
        figure = diversity.choices(pd.DataFrame(rows + extra, columns=columns))
        squares = [[line for line in axis.lines if line.get_marker() == "s"] for axis in figure.axes]
        found.append([[round(float(line.get_xdata()[0]), 3) for line in panel] for panel in squares])
    assert found == [[[], []], [[0.1], [0.9]]]


def test_the_share_of_prompts_of_several_turns_is_drawn_with_its_interval():
    columns = ["source", "statistic", "estimate", "low", "high", "n", "n_prompts"]
    rows = [
        (source, f"{name}_{what}_words", 10.0, 9.0, 11.0, 9, 9)
        for source in ("a", "b")
        for name in ("q10", "q25", "median", "q75", "q90")
        for what in ("prompt", "chosen", "rejected")
    ]
    rows += [("a", "multi_turn", 0.4, 0.3, 0.6, 9, 9), ("b", "multi_turn", 0.0, 0.0, 0.1, 9, 9)]
    table = pd.DataFrame(rows, columns=columns)
    assert "multi_turn" in set(lengths.spread_rows(table)["statistic"])
    axis = lengths.lengths(table).axes[2]
    assert [line.get_xdata()[0] for line in axis.lines] == [0.4, 0.0]
    assert [tuple(line.get_segments()[0][:, 0]) for line in axis.collections] == [(0.3, 0.6), (0.0, 0.1)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
