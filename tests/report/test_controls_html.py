import re

import pytest

from more_repro.evaluation.claims.more_against_controls import BETTER, RULE, SAME, UNDECIDED, WORSE
from more_repro.report.page.controls import _WORDS, controls_section
from more_repro.report.run_tables import Study


def test_one_sentence_for_each_regime_tells_every_verdict_and_n(full_study):
    text = controls_section(full_study, RULE)
    assert re.findall(r"<li>(Regime \w+)", text) == ["Regime balanced", "Regime resampled"]
    assert (
        "by ECE at comparable accuracy, MORE does more than multitask and random; does less than proportional; "
        "is the same, as far as it matters, as centered; is undecided against smoothed "
        "(6 pairs of models, 5,000 test pairs each)."
    ) in text
    assert text.count('scope="rowgroup"') == 2
    assert "written before the numbers" in text


def test_names_are_escaped_and_an_empty_table_says_so(full_study):
    hostile = full_study["controls"].assign(against="<b>mine</b>")
    text = controls_section(Study(full_study.params, {"controls": hostile}), RULE)
    assert "<b>" not in text
    assert "&lt;b&gt;mine" in text
    assert "Not measured" in controls_section(Study(full_study.params, {}), RULE)


@pytest.mark.parametrize("verdict", [BETTER, WORSE, SAME, UNDECIDED])
def test_every_verdict_has_its_words(verdict):
    assert verdict in _WORDS
