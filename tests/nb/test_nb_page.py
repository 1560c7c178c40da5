"""The page alone, without a kernel."""

import pytest
import tiny_notebooks as tiny
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from more_repro.nb.runner.mathml import formula, prose
from more_repro.nb.runner.page import clean, render

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
LIVE = [
    "<script>alert(1)</script>",
    '<img src="https://example.org/a.png">',
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<iframe src="https://example.org"></iframe>',
    "<style>body{background:url(https://example.org/b)}</style>",
    '<svg onload="alert(1)"></svg>',
    '<form action="https://example.org"><input></form>',
    '<link rel="stylesheet" href="https://example.org/c.css">',
    '<p style="background:url(https://example.org/d)">x</p>',
]


def page_of(*outputs: object) -> tuple[str, list[str]]:
    cell = new_code_cell("1", outputs=list(outputs), execution_count=7)
    return render(new_notebook(cells=[new_markdown_cell("# T"), cell]), stage="s", facts={"Profile": "tiny"})


@pytest.mark.parametrize("html", LIVE)
def test_cleaned_html_is_dead(html: str) -> None:
    assert tiny.outside_requests(clean(html)) == []


@pytest.mark.parametrize("html", LIVE)
@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
def test_outputs_of_every_kind_are_dead_in_the_page(html: str, kind: str) -> None:
    page, _ = page_of(new_output("display_data", {kind: html}))
    assert tiny.outside_requests(page) == []
    assert "<script" not in page


def test_javascript_outputs_are_dropped() -> None:
    page, _ = page_of(new_output("display_data", {"application/javascript": "alert(1)"}))
    assert "alert(1)" not in page


def test_a_table_keeps_its_form() -> None:
    head = '<thead><tr><th scope="col">a</th></tr></thead>'
    table = f'<table class="dataframe">{head}<tbody><tr><td>1</td></tr></tbody></table>'
    assert clean(table) == table


def test_description_of_an_image_is_used_and_escaped() -> None:
    image = new_output("display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": 'ECE "falls" <b>'}})
    page, warnings = page_of(image)
    assert 'alt="ECE &quot;falls&quot; &lt;b&gt;"' in page
    assert warnings == []


def test_an_image_without_description_gives_a_warning_with_its_cell() -> None:
    _, warnings = page_of(new_output("display_data", {"image/png": PIXEL}))
    assert warnings == ["cell 7: an image has no description; give one by show(figure, alt=...)"]


def test_formulas_become_mathml() -> None:
    html = prose("where $p = \\sigma(D)$ and\n\n$$\\frac{a}{b}$$")
    assert html.count("<math ") == 2
    assert "$" not in html


def test_a_formula_that_cannot_be_read_stays_as_text() -> None:
    assert "<script>" not in formula("\\left( <script>", "inline")


def test_markdown_images_from_elsewhere_become_links() -> None:
    assert "<img" not in prose("![logo](https://example.org/logo.png)")
