"""What a scheme is called changes names in figures and tables, and nothing else."""

import pandas as pd
import pytest
from synthetic_study import study

from more_repro.report import catalogue, style
from more_repro.report.page.build import build_report, make_paper_tables, published_tables
from more_repro.report.run_tables import Study, notes
from more_repro.schemes import PAPER, Roles
from renamed import NAMES, renamed, renamed_params


@pytest.fixture(scope="module")
def other_study(full_study):
    return Study(renamed_params(full_study.params), {name: renamed(table) for name, table in study().items()})


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(renamed(one).reset_index(drop=True), other.reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("entry", catalogue.figures(), ids=lambda entry: entry.name)
def test_every_figure_has_the_same_rows_and_draws_them(entry, full_study, other_study):
    rows = entry.rows(other_study, "resampled")
    same(entry.rows(full_study, "resampled"), rows)
    assert len(rows)
    one, other = (entry.draw(made, "resampled") for made in (full_study, other_study))
    assert "not measured" not in " ".join(text.get_text() for text in other.texts)
    assert colours(one) == colours(other)


def colours(figure):
    """What is drawn in which colour and with which marker, panel by panel."""
    return [
        [(line.get_color(), line.get_marker()) for line in axis.lines]
        + [tuple(map(tuple, collection.get_facecolor())) for collection in axis.collections]
        + [patch.get_facecolor() for patch in axis.patches]
        for axis in figure.axes
    ]


def test_every_table_of_the_paper_and_beyond_has_the_same_rows(full_study, other_study):
    one, other = (make_paper_tables(made, published_tables()) for made in (full_study, other_study))
    assert list(one) == list(other)
    for name, table in one.items():
        same(table, other[name])
    for entry in catalogue.tables():
        same(entry.rows(full_study), entry.rows(other_study))


def test_the_page_says_the_same_of_the_run(full_study, other_study, tmp_path):
    assert notes(full_study) == notes(other_study)
    build_report(other_study.params, None, other_study.tables, runs=[], revision="x", out=tmp_path)
    page = (tmp_path / "index.html").read_text()
    for name in NAMES.values():
        assert name in page
    assert page.count("†") > 0, "an ECE that cannot be held against that of vanilla mixing is marked"


def test_a_role_has_its_look_whatever_its_scheme_is_called():
    roles = Roles(NAMES["more"], NAMES["multitask"], NAMES["single"])
    for old, new in NAMES.items():
        assert style.scheme_colour(new, roles) == style.scheme_colour(old, PAPER)
        assert style.scheme_marker(new, roles) == style.scheme_marker(old, PAPER)
    assert style.scheme_order(["mine", *NAMES.values(), "raw"], roles) == ["raw", "per_source", "vanilla",
                                                                          "momentum_mgda", "mine"]  # fmt: skip


def test_a_scheme_that_is_called_as_a_role_and_plays_none_has_a_look_of_its_own():
    """Say `more` is kept beside the renamed method, as an ablation: two lines of one colour would be one too few."""
    roles = Roles("momentum_mgda", "multitask", "single")
    assert style.scheme_colour("more", roles) != style.scheme_colour("momentum_mgda", roles)
