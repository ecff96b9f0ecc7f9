"""A comment that has to fit: whole parts are left out, what decides stays."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_ml.core.changes import Changes, ValueChange
from ci_ml.core.report import Report, waived
from ci_ml.core.types import MetricKey
from ci_ml.render import markdown
from ci_ml.render.markdown import Place
from tests.reports import comparison, report

MARKER = "<!-- ci-ml:report name=churn head= run=1.1 -->"


def many(regressed: int, held: int, params: int, name: str = "m") -> Report:
    """A report with so many gates of each kind, and so many changed parameters."""
    gates = [comparison(f"{name}.r{number}", 0.9, 0.8 - number / 1e5) for number in range(regressed)]
    gates += [comparison(f"{name}.h{number}", 0.9, 0.9) for number in range(held)]
    changed = [
        ValueChange(metric=MetricKey(path="params.yaml", key=f"{name}{n}"), base=n, head=-n) for n in range(params)
    ]
    return report(*gates, differences=Changes(params=tuple(changed)))


def place(longest: int | None) -> Place:
    return Place(longest=longest, measure=markdown.utf16, marker=MARKER, run_url="https://ci.example/run/1")


@settings(max_examples=25, deadline=None)
@given(
    regressed=st.integers(0, 300),
    held=st.integers(0, 300),
    params=st.integers(0, 300),
    name=st.text(min_size=1, max_size=300).filter(lambda text: ":" not in text),
)
def test_every_report_fits_a_comment_of_github(regressed: int, held: int, params: int, name: str) -> None:
    content = many(regressed, held, params, name)
    text = markdown.report(content, place(65_536))
    assert len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 65_536
    assert text.startswith(f"{MARKER}\n### ")
    assert text.count("<details>") == text.count("</details>")
    assert not any(line.startswith("/") for line in text.splitlines())


def test_what_fits_is_whole() -> None:
    content = many(3, 30, 10)
    assert markdown.report(content, place(65_536)) == markdown.report(content, place(None))
    assert "Left out here" not in markdown.report(content, place(65_536))


@pytest.mark.parametrize("longest", [20_000, 10_000, 6_000])
def test_the_verdict_and_the_worst_gates_stay(longest: int) -> None:
    content = many(200, 200, 200)
    text = markdown.report(content, place(longest))
    assert len(text) <= longest
    assert "— blocked" in text
    assert content.comparisons[0].metric in text
    assert "**Next:**" in text
    assert "Left out here: " in text
    assert "[the run](https://ci.example/run/1)" in text


def test_what_goes_first_is_what_held() -> None:
    content = many(30, 400, 60)
    whole = len(markdown.report(content, place(None)))
    text = markdown.report(content, place(whole - 1))
    assert "gates held" in text
    assert "What changed" in text
    shorter = markdown.report(content, place(len(text) - 1))
    assert "gates held, " not in shorter
    assert "What changed" in shorter
    assert len(re.findall(r"^\| ❌", shorter, re.MULTILINE)) == 30


def test_without_a_run_the_rest_is_in_the_report() -> None:
    text = markdown.report(many(200, 200, 200), Place(longest=20_000))
    assert "All of it is in report.json." in text


def test_a_waiver_is_in_the_comment_and_asks_for_no_other() -> None:
    text = markdown.report(waived(many(1, 0, 0), "mona", "2026-11-21T15:02:11+01:00", "ci-ml: accept regression"))
    assert "Accepted by mona on 2026-11-21 14:02 UTC with the label ci-ml: accept regression" in text
    assert "without it this would be blocked" in text
    assert "a maintainer can accept" not in text
    assert "take the label away" in text


def test_whoever_set_a_label_is_not_mentioned() -> None:
    text = markdown.report(waived(many(1, 0, 0), "@mona|<b>", "when <i>", "x"))
    assert "@mona" not in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_what_could_not_be_judged_says_so_and_nothing_else() -> None:
    text = markdown.failure("churn", "Nothing was judged: <b>stage</b> @team failed", "mend `it`", place(None))
    assert text.startswith(f"{MARKER}\n### ⛔ ci-ml · churn — not judged")
    assert "<b>" not in text
    assert "@team" not in text
    assert "https://ci.example/run/1" in text
