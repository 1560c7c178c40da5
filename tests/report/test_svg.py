"""A compact SVG draws what the long one draws."""

import io
import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from more_repro.report.svg import compact

LONG = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10" xmlns="http://www.w3.org/2000/svg">
 <metadata>
  <rdf>of no use</rdf>
 </metadata>
 <!-- a remark -->
 <g id="axes_1" transform="translate(1.23456 2) scale(0.015625)">
  <defs>
   <path id="DejaVuSans-30" d="M 1.0049 2
L 3.5 -0.001
z
"/>
  </defs>
  <use xlink:href="#DejaVuSans-30"/>
  <use xlink:href="#DejaVuSans-30" transform="translate(63.57 0)"/>
  <use xlink:href="#DejaVuSans-30" transform="translate(1 -2.5)"/>
  <use xlink:href="#DejaVuSans-30" transform="translate(1 2) scale(0.7)"/>
  <rect clip-path="url(#p1)" style="fill: #fff"/>
 </g>
 <clipPath id="p1"/>
</svg>
"""
SHORT = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<svg viewBox="0 0 10 10" xmlns="http://www.w3.org/2000/svg">
<g transform="translate(1.23 2) scale(0.015625)">
<defs>
<path id="n0" d="M1 2L3.5 -0z"/>
</defs>
<use href="#n0"/>
<use href="#n0" x="63.57"/>
<use href="#n0" x="1" y="-2.5"/>
<use href="#n0" transform="translate(1 2) scale(0.7)"/>
<rect clip-path="url(#n1)" style="fill: #fff"/>
</g>
<clipPath id="n1"/>
</svg>
"""


def test_what_draws_nothing_is_left_out_and_names_are_short() -> None:
    assert compact(LONG) == SHORT


def test_twice_is_once() -> None:
    assert compact(SHORT) == SHORT


@pytest.fixture(scope="module")
def drawn() -> str:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 3, 2], marker="o", label="more < multitask & 2")
    axes.set_title("ECE $x$")
    axes.legend()
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


def test_every_element_and_every_position_is_kept(drawn: str) -> None:
    def elements(text: str) -> list[tuple[str, str]]:
        svg = "{http://www.w3.org/2000/svg}"
        found = [one for one in ET.fromstring(text).iter() if one.tag.startswith(svg)]
        return [(one.tag, one.get("style", "")) for one in found if one.tag != f"{svg}metadata"]

    def numbers(text: str) -> list[float]:
        paths = re.findall(r' d="([^"]*)"', text)
        return [round(float(number), 2) for path in paths for number in re.findall(r"-?\d+(?:\.\d+)?", path)]

    short = compact(drawn)
    assert elements(short) == elements(drawn)
    assert numbers(short) == pytest.approx(numbers(drawn), abs=0.0101)
    assert len(short) < 0.75 * len(drawn)


def test_every_reference_leads_to_one_element(drawn: str) -> None:
    short = compact(drawn)
    ids = re.findall(r' id="([^"]+)"', short)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', short)) == set(ids)
