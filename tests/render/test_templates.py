"""Templates of the user's: whole ones, and blocks of ours."""

import pytest

from ci_ml.errors import UsageError
from ci_ml.render import formats, markdown
from ci_ml.render.markdown import Place
from tests.reports import churn, everything

MARKER = "<!-- ci-ml:report name=churn head=8f2c1e7 run=812.1 -->"
BLOCK = """\
{% extends "ci-ml/comment.md.j2" %}
{% block next %}
Ask #ml-platform. {{ super() }}
{% endblock %}
"""


def comment(template: str, **options: object) -> str:
    place = Place(marker=MARKER, templates={"comment.md.j2": template}, **options)  # type: ignore[arg-type]
    return markdown.report(everything(), place)


def test_a_block_replaces_ours_and_the_rest_stays() -> None:
    own, ours = comment(BLOCK), markdown.report(everything(), Place(marker=MARKER))
    assert own.partition("Ask #ml-platform.")[0] in ours
    assert "**Next:** restore `test.recall`" in own.partition("Ask #ml-platform.")[2]


def test_a_whole_template_has_everything_that_ours_has() -> None:
    text = comment("{{ marker }}\n{{ symbol }} {{ headline }}: {{ rows | length }} gates\n")
    assert text == f"{MARKER}\n❌ blocked: 7 gates\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("no marker", "does not begin with the marker"),
        ("before\n{{ marker }}", "does not begin with the marker"),
        ("{{ marker }", "comment.md.j2:1: unexpected '}'"),
        ("{{ marker }}{{ unknown }}", "'unknown' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 // 0 }}", "integer division"),
        ('{% include "other.md.j2" %}', "other.md.j2"),
        (
            "{{ marker }}{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
            "2,000,000 steps",
        ),
        ('{{ marker }}{{ "x" * (10 ** 9) }}', "letters"),
        ("{{ marker }}{{ 7 ** 99999 }}", "too large"),
    ],
)
def test_a_template_that_does_not_serve_is_refused(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"comment\.md\.j2|other") as found:
        comment(template)
    assert said in found.value.what


def test_one_that_loses_the_marker_is_refused_on_a_laptop_as_well() -> None:
    with pytest.raises(UsageError, match="does not begin with the marker"):
        formats.render("markdown", churn(), {"comment.md.j2": "no marker"})
    assert "Ask #ml-platform." in formats.render("markdown", churn(), {"comment.md.j2": BLOCK})


def test_a_name_that_none_of_ours_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"coment\.md\.j2 replaces none") as found:
        markdown.report(churn(), Place(templates={"coment.md.j2": ""}))
    assert "comment.md.j2" in str(found.value.hint)


def test_what_never_gets_short_enough_is_ours() -> None:
    text = comment("{{ marker }}\n{{ 'much ' * 1000 }}\n", longest=3000)
    assert len(text) <= 3000
    assert "### ❌ ci-ml · churn — blocked" in text
