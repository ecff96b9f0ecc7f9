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
from tests.reports import comparison, contrast, gate, measured, report, sliced

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


def crowd(regressed: int, warned: int, held: int, small: int) -> Report:
    """A report on the slices of one gate, so many of each kind."""
    found = {
        **{("city", f"bad {n}"): contrast(0.9, 0.7 - n / 1e5, 0.02) for n in range(regressed)},
        **{("city", f"unsure {n}"): contrast(0.9, 0.89, 0.1) for n in range(warned)},
        **{("city", f"fine {n}"): contrast(0.9, 0.9, 0.01) for n in range(held)},
        **{("city", f"tiny {n}"): contrast(0.9, 0.8, 0.3, n=3) for n in range(small)},
    }
    whole = measured(gate("test.recall", rate=True), contrast(0.9, 0.899, 0.004))
    return report(whole, *sliced("test.recall", found, rate=True))


class TestThousandsOfSlices:
    content = crowd(40, 900, 3900, 160)

    @pytest.mark.parametrize("longest", [65_536, 30_000, 15_000, 8_000, 5_000, 3_000])
    def test_fit_and_the_worst_stay(self, longest: int) -> None:
        text = markdown.report(self.content, place(longest))
        assert markdown.utf16(text) <= longest
        assert "`city = bad 39` fell by 20.0 pp, from 0.900 to 0.700**" in text.replace("\N{NO-BREAK SPACE}", " ")
        assert "**Next:**" in text
        assert text.count("<details>") == text.count("</details>")

    def test_are_counted_whole_and_shown_in_part(self) -> None:
        text = markdown.report(self.content, place(65_536))
        assert "3,900 slices held, none improved, 160 too small to judge" in text
        assert "890 more slices that did not hold" in text
        assert len(re.findall(r"^\| ❌", text, re.MULTILINE)) == 40
        assert len(re.findall(r"^\| ⚠️", text, re.MULTILINE)) == 10
        assert "in the full report" in text

    def test_that_hold_go_before_those_that_block(self) -> None:
        text = markdown.report(self.content, place(13_000))
        assert "slices held" not in text
        assert len(re.findall(r"^\| ❌", text, re.MULTILINE)) == 40
        assert "Left out here: what held" in text

    @settings(max_examples=5)
    @given(column=st.text(min_size=1), longest=st.sampled_from([65_536, 20_000]))
    def test_fit_whatever_the_slices_are_called(self, column: str, longest: int) -> None:
        slices = {(column * 40, f"{column * 40}{n}"): contrast(0.9, 0.7, 0.01) for n in range(400)}
        text = markdown.report(report(*sliced(f"test.{column}", slices)), place(longest))
        assert len(text.encode("utf-16-le", "surrogatepass")) // 2 <= longest


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
