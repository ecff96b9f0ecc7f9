"""The gates as a picture."""

import re
import xml.etree.ElementTree as ET

import pytest

from ci_ml.core.report import Report
from ci_ml.render import markdown, overview
from ci_ml.render.markdown import Place
from tests.reports import comparison, everything, report, undecided

SVG = "{http://www.w3.org/2000/svg}"


def drawn(content: Report) -> ET.Element:
    return ET.fromstring(overview.gates(content))


def spots(found: ET.Element) -> list[float]:
    return [float(circle.get("cx", "")) for circle in found.iter(f"{SVG}circle")]


def arrows(found: ET.Element) -> list[str]:
    return [path.get("d", "") for path in found.iter(f"{SVG}path") if path.get("d", "").endswith("Z")]


def test_harm_is_left_and_comes_first() -> None:
    found = drawn(everything())
    assert len(spots(found)) == 6
    (arrow,) = arrows(found)
    assert arrow.startswith("M353 44L364"), "the slice that fell by three margins, beyond the plot, and first"
    text = "".join(found.itertext())
    assert "26 more gates and slices are in the report" in text
    assert "−3.1\N{NO-BREAK SPACE}pp [−4.2, −2.0]" in text


@pytest.mark.parametrize(("direction", "better"), [("higher", 0.95), ("lower", 0.85)])
def test_better_is_right_whatever_the_direction(direction: str, better: float) -> None:
    content = report(
        comparison("better", 0.9, better, direction=direction), comparison("same", 0.9, 0.9, direction=direction)
    )
    found = drawn(content)
    assert spots(found) == [500.0]
    (arrow,) = arrows(found)
    assert arrow.startswith("M647 "), "it lies beyond the plot, to the right"


def test_it_says_in_words_what_it_shows() -> None:
    assert (
        overview.text(undecided())
        == "Gates of churn with their intervals: 1 undecided, 1 passed with warnings, 3 passed"
    )


@pytest.mark.parametrize(
    "name", ['<script>alert("x")</script>', "a&b", "x" * 10_000, "\N{RIGHT-TO-LEFT OVERRIDE}a\nb\0"]
)
def test_hostile_names_are_text(name: str) -> None:
    source = overview.gates(report(comparison(f"m.json:{name}", 0.9, 0.8)))
    found = ET.fromstring(source)
    assert {item.tag.removeprefix(SVG) for item in found.iter()} <= {
        "svg",
        "title",
        "rect",
        "g",
        "text",
        "path",
        "circle",
    }
    assert len(source) < 5_000
    assert not re.search("[\0\N{RIGHT-TO-LEFT OVERRIDE}]", source)


def test_a_comment_shows_the_picture_that_is_kept() -> None:
    text = markdown.report(everything(), Place(picture="https://forge.example/a.svg"))
    assert re.search(r"\n!\[Gates of churn [^\]]+\]\(https://forge.example/a.svg\)\n", text)
    assert "![" not in markdown.report(everything())
