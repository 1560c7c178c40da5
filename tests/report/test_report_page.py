"""The page and the folder around it: numbers survive, hostile text dies, nothing is loaded, equal bytes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from more_repro import tables
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.report import html, run_tables
from more_repro.report.formatting import interval, number, texts
from more_repro.report.page import page
from more_repro.report.page.build import build_report, make_paper_tables, published_tables
from more_repro.report.page.run_files import RunTables, load_runs
from more_repro.report.run_tables import Study

RUNS = [{"stage": "ingest", "wall_s": 6.25, "peak_rss_mib": 512.0}, {"stage": "calibration", "wall_s": 20.0}]
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "$x_{",
    "</style>",
)


class Page(HTMLParser):
    """Every tag with its attributes, and whether tags that must be closed are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"unbalanced </{tag}>"
        assert self.open.pop() == tag, f"unbalanced </{tag}>"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report(full_study, tmp_path_factory) -> Path:
    """A report whose figures are drawn and not rendered, which takes most of the time."""
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("more_repro.report.style.svg_bytes", lambda figure: b"<svg/>")
        _build(full_study, out)
    return out


def _build(made: Study, out: Path) -> None:
    build_report(_one_regime(made), Paths("small"), made.tables, published_tables(), RUNS, "abc123", out)


@pytest.fixture(scope="module")
def text(report) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


def _one_regime(made: Study) -> Params:
    """Half the figures, half the time."""
    return made.params.model_copy(update={"regimes": {"resampled": made.params.regimes["resampled"]}})


def _page(made: Study) -> str:
    return page.build(made, make_paper_tables(made, {}), {}, [], [("profile", "x")], ["ingest"])


def test_every_figure_and_table_file_is_written(report):
    for name in (*(f"fig{n}" for n in range(2, 10)), "fig1_left", "fig1_middle", "fig1_right"):
        assert (report / "figures" / f"{name}.svg").exists()
        assert len(pd.read_csv(report / "figures" / f"{name}.csv")) > 0
    for number_ in range(1, 7):
        assert len(pd.read_csv(report / "tables" / f"table{number_}.csv")) > 0


def test_page_is_well_formed_and_accessible(text):
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.all("html")[0]["lang"] == "en"
    assert len(parsed.all("main")) == len(parsed.all("h1")) == 1
    assert any(a.get("href") == "#content" and a.get("class") == "skip" for a in parsed.all("a"))
    assert all(len(a["alt"] or "") > 20 for a in parsed.all("img"))
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in parsed.all("a") if a["href"].startswith("#")} <= {f"#{name}" for name in ids}
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert len(parsed.all("math")) == len(page.DEFINITIONS)


def test_page_loads_nothing_from_elsewhere_and_every_file_exists(text, report):
    parsed = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in parsed.tags}
    for _, attributes in parsed.tags:
        for name in ("src", "href"):
            target = attributes.get(name)
            if target is None or target.startswith("#"):
                continue
            assert ":" not in target, target
            assert not target.startswith("/"), target
            assert target.startswith("notebooks/") or (report / target).exists(), target
    assert "url(" not in text
    assert "@import" not in text


def test_equal_rows_in_another_order_give_equal_tables(full_study):
    mixed = {name: full_study[name].sample(frac=1, random_state=3) for name in ("metrics", "seed_summary", "outliers")}
    made = Study(full_study.params, full_study.tables | mixed)
    tables_of = [make_paper_tables(one, {}) for one in (made, full_study)]
    pd.testing.assert_frame_equal(tables_of[0]["table2"], tables_of[1]["table2"])


@pytest.mark.slow
def test_equal_input_gives_equal_bytes(full_study, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for out in (one, two):
        _build(full_study, out)
    files = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(two) for path in sorted(two.rglob("*")) if path.is_file()]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    assert all((one / name).stat().st_size > 1000 for name in files if name.suffix == ".svg")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_never_lives_in_the_page(payload, full_study):
    columns = (
        "source",
        "word",
        "policy",
        "sentence",
        "statement",
        "rule",
        "data",
        "verdict",
        "note",
        "reason",
        "method",
        "place",
        "prompt",
        "chosen",
        "rejected",
        "test_prompt",
        "training_prompt",
        "file",
        "format",
        "licence",
    )
    hostile = {
        name: table.assign(**{column: table[column] + payload for column in columns if column in table.columns})
        for name, table in full_study.tables.items()
    }
    parsed = Page(_page(Study(full_study.params, hostile)))
    assert not parsed.all("script")
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert all(a.get("src") != "x" for a in parsed.all("img"))
    assert parsed.open == []


def test_the_audit_stands_on_the_page_with_its_examples(text):
    parsed = re.sub(r"\s+", " ", text)
    assert "What happened to every pair that was read" in parsed
    assert "is it &lt;b&gt;so&lt;/b&gt;?" in parsed
    for name in ("audit", "audit_examples", "audit_files", "near_duplicates", "mixture_manifest"):
        assert f'href="tables/{name}.csv"' in parsed


def test_links_must_stay_in_the_folder():
    for bad in ("javascript:alert(1)", "https://example.org", "/etc/passwd", "../x.html"):
        with pytest.raises(ValueError, match="stay in its folder"):
            html.link(bad, "x")


def test_an_empty_study_still_has_a_page(full_study):
    text = _page(Study(full_study.params, {}))
    assert "No claim was judged" in text
    assert Page(text).open == []


@pytest.mark.slow
def test_an_odd_study_builds_a_whole_report(odd_study, tmp_path):
    build_report(odd_study.params, Paths("own"), odd_study.tables, published_tables(), [], "none", tmp_path)
    assert Page((tmp_path / "index.html").read_text(encoding="utf-8")).open == []
    assert page.EMBEDDED not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_claims_are_shown_for_every_regime_with_verdict_and_interval(text, full_study):
    for data in ("this run: balanced", "this run: resampled", "published"):
        assert f">{data}</th>" in text
    row = full_study["claims"].iloc[0]
    assert row["verdict"] in text
    assert interval(row["estimate"], row["low"], row["high"]) in text


def test_summary_json_tells_the_run(report, full_study):
    told = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    assert told["profile"] == "small"
    assert told["revision"] == "abc123"
    assert told["wall_s"] == 26.2
    assert told["n_reward_models"] == 2 * 2 * 5 * 3
    assert len(told["claims"]) == len(full_study["claims"])
    assert any(claim["high"] is None for claim in told["claims"])


def _length_line(study_: Study, accuracy: float, low: float, high: float) -> str:
    metrics = study_["metrics"]
    rule = metrics["scheme"] == "length"
    values = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    changed = metrics.assign(**{name: metrics[name].where(~rule, value) for name, value in values.items()})
    lines = run_tables.notes(Study(study_.params, study_.tables | {"metrics": changed}))
    (line,) = (line for line in lines if "Length rule" in line)
    return line


def test_length_note_follows_the_numbers(full_study):
    above, below = (_length_line(full_study, *rule) for rule in ((0.5, 0.48, 0.52), (0.92, 0.90, 0.95)))
    assert "20 of 20 combinations" in above
    assert "NOT" not in above
    assert "0 of 20 combinations" in below
    assert "NOT above" in below
    assert "resampled tiny helpful" in below


def test_length_note_takes_the_better_direction(full_study):
    """A source whose chosen responses are the shorter ones is as easy for a counter of words."""
    assert _length_line(full_study, 0.08, 0.05, 0.10) == _length_line(full_study, 0.92, 0.90, 0.95)


def test_null_note_counts_what_the_table_holds(full_study):
    metrics = full_study["metrics"]
    inside = metrics.assign(ece=metrics["ece_null_high"])
    lines = run_tables.notes(Study(full_study.params, full_study.tables | {"metrics": inside}))
    assert sum("balanced 180 of 180, resampled 180 of 180" in line for line in lines) == 1


def test_regression_note_names_each_reason_once(full_study):
    rows = full_study["regression"].assign(note="descriptive only: few; other")
    lines = run_tables.notes(Study(full_study.params, full_study.tables | {"regression": rows}))
    said = [line for line in lines if "descriptive" in line]
    assert len(said) == 1
    assert all(data in said[0] for data in rows["data"].unique())


def test_captions_are_filled_in(text):
    assert "{" not in text.partition("</style>")[2]
    assert "Means over 3 seeds" in text
    assert "MORE equals multitask there" in text


def test_tables_show_groups_intervals_and_no_column_names(text):
    body = text.partition('<section id="tables"')[2].partition("<section")[0]
    assert '<th colspan="8" scope="rowgroup">this run, base tiny</th>' in body
    assert "published: pythia-1.4b" in body
    headings = [part.partition("<")[0] for part in body.split('<th scope="col"')[1:]]
    assert not any("_" in heading for heading in headings)
    assert "more slow" in body


def test_intervals_of_a_table_stand_below_their_value():
    made = html.table(pd.DataFrame({"g": ["a", "a", "b"], "x": ["0.5 [0.4, 0.6]", "1", "<b>"]}), "c", group="g")
    assert '0.5<span class="small">[0.4, 0.6]</span>' in made
    assert made.count('scope="rowgroup"') == 2
    assert made.count("<tbody>") == made.count("</tbody>") == 2
    assert "<b>" not in made


def test_numbers_are_written_as_people_read_them():
    assert interval(0.6713, 0.66, np.nan) == "0.671"
    assert interval(0.6713, 0.66, 0.682) == "0.671 [0.660, 0.682]"
    assert number(float("nan")) == "–"
    assert number(np.int64(12345)) == "12,345"
    assert (number(-0.0001), number(337.974), number(15.48), number(-0.05, 2)) == ("0.000", "338", "15.48", "-0.05")
    assert interval(4.5, 4.5, 4.5) == "4.500"
    shown = texts(pd.DataFrame({"scheme": ["more"], "x": [0.5], "x_low": [0.4], "x_high": [0.6], "n_seeds": [3.0]}))
    assert shown.to_dict("records") == [{"scheme": "more", "x": "0.500 [0.400, 0.600]", "n_seeds": "3"}]


def test_tables_of_a_run_are_read_from_the_stage_that_wrote_them_and_a_missing_one_is_named(full_study, tmp_path):
    params, paths = full_study.params, Paths("small", tmp_path)
    for stage, name in (("calibration", "metrics"), ("judging", "win_rates")):
        tables.write(full_study.every(name), paths.table(stage, name), name)
    for base in params.bases:
        for scheme in params.schemes:
            log = full_study["training_log"].query("base == @base and scheme == @scheme")
            tables.write(log, paths.training_log(base, scheme), "training_log")
    found = RunTables(params, paths)
    assert set(found) == set(tables.SCHEMAS)
    for name in ("metrics", "win_rates"):
        pd.testing.assert_frame_equal(Study(params, found).every(name), full_study.every(name))
    assert len(found["training_log"]) == len(full_study["training_log"])
    with pytest.raises(tables.TableError, match=r"ranking\.parquet: no such table; `dvc repro` makes it"):
        Study(params, found)["ranking"]
    tables.write(full_study["metrics"], paths.table("judging", "metrics"), "metrics")
    with pytest.raises(tables.TableError, match=r"metrics\.parquet: written by calibration, judging; expected one"):
        RunTables(params, paths)["metrics"]
    with pytest.raises(KeyError):
        found["no_table"]


def test_the_report_reads_no_table_that_a_study_need_not_have(full_study):
    """Every table that it asks for is one of the made-up study: none is quietly empty."""
    asked = Study(full_study.params, {**full_study.tables})
    make_paper_tables(asked, {})
    _page(asked)
    assert set(asked._in_order) <= set(full_study.tables)


def test_runs_come_in_the_order_of_the_pipeline(full_study, tmp_path):
    paths = Paths("small", tmp_path)
    for stage in ("report", "judging", "ingest"):
        paths.run(stage).parent.mkdir(parents=True, exist_ok=True)
        paths.run(stage).write_text(json.dumps({"stage": stage}), encoding="utf-8")
    assert [run["stage"] for run in load_runs(full_study.params, paths)] == ["ingest", "judging"]
