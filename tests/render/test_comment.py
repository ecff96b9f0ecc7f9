"""The comment on gates with intervals and slices: what a reviewer sees of them, and in which order."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ci_ml.core.report import Report
from ci_ml.core.types import Gap, Require, Severity
from ci_ml.render import markdown
from tests.render.test_safe import hostile
from tests.reports import churn, comparison, contrast, gate, measured, report, sliced, undecided

NBSP = "\N{NO-BREAK SPACE}"
FREE = ("plan", "free")
SECONDS = "<code>eval/<wbr>metrics.json:<wbr>train.seconds</code>"


def comment(content: Report) -> str:
    """The comment, with blanks where it has non-breaking ones."""
    return markdown.report(content).replace(NBSP, " ")


def table(text: str) -> list[list[str]]:
    """The cells of the table of gates, its header first."""
    lines = text[text.index("| | gate") :].split("\n\n", maxsplit=1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (lines[0], *lines[2:])]


def section(text: str, summary: str) -> str:
    """The body of a collapsed part, by how its summary begins."""
    (body,) = re.findall(rf"<details><summary>{re.escape(summary)}.*?</summary>\n(.*?)</details>", text, re.DOTALL)
    return str(body)


class TestTheTableOfGates:
    def test_has_harm_first_and_every_change_with_its_interval(self) -> None:
        rows = table(comment(churn()))
        assert rows[0] == ["", "gate", "change", "95 % interval", "base → head", "−m ┊ 0 │ better"]
        assert [tuple(row[:5]) for row in rows[1:]] == [
            ("❌", "`test.recall` · `plan = free`", "**−3.1 pp**", "[−4.2, −2.0]", "0.812 → 0.781"),
            ("⚠️", SECONDS, "+26 %", "", "212 → 268"),
            ("⚠️", "`test.recall` · `country = MT`", "−2.0 pp", "[−6.1, +2.1]", "0.790 → 0.770"),
            ("⚠️", "`test.recall` · `plan is missing`", "−0.5 pp", "[−1.9, +0.9]", "0.833 → 0.828"),
            ("✅", "`test.recall`", "−0.41 pp", "[−0.89, +0.07]", "0.8402 → 0.8361"),
            ("✅", "`test.brier`", "−0.00030", "[−0.00090, +0.00030]", "0.0912 → 0.0909"),
            ("✅", "`test.roc_auc`", "+0.0017", "[+0.0004, +0.0030]", "0.9104 → 0.9121"),
        ]

    def test_draws_every_interval_in_units_of_its_own_margin(self) -> None:
        plots = {row[1]: row[5] for row in table(comment(churn()))}
        assert plots["`test.recall` · `plan = free`"] == "`◂···┊···│·······`"
        assert plots["`test.recall` · `country = MT`"] == "`├───┊●──│──┤····`"
        assert plots["`test.roc_auc`"] == "`····┊···│●┤·····`"

    def test_of_numbers_in_files_alone_has_no_column_of_intervals(self) -> None:
        rows = table(comment(report(comparison("a", 0.9, 0.8))))
        assert rows == [
            ["", "gate", "change", "base → head", "−m ┊ 0 │ better"],
            ["❌", "<code>eval/<wbr>metrics.json:<wbr>a</code>", "**−0.1**", "0.9 → 0.8", "`◂···┊···│·······`"],
        ]

    def test_names_the_groups_of_a_gap(self) -> None:
        rows = table(comment(undecided()))
        assert rows[2][1] == "`test.recall gap by country` · `DE vs MT`"
        assert rows[2][2:4] == ["+1.1 pp", "[−4.9, +7.1]"]

    def test_says_identical_where_there_is_nothing_to_estimate(self) -> None:
        rows = table(comment(undecided()))
        assert ["`val.accuracy`", "identical", "", "0.912 → 0.912", "`····┊···●·······`"] in [row[1:] for row in rows]

    @pytest.mark.parametrize(
        ("rate", "shown"), [(True, ["0.0 pp", "[−1.2, +1.2]"]), (False, ["0.000", "[−0.012, +0.012]"])]
    )
    def test_what_rounds_to_nothing_has_no_sign(self, rate: bool, shown: list[str]) -> None:
        content = report(measured(gate("test.accuracy", 0.02, rate=rate), contrast(0.83, 0.82999, 0.012)))
        assert table(comment(content))[1][2:4] == shown

    def test_a_loss_under_a_gate_that_only_reports_is_no_success(self) -> None:
        lost = contrast(0.91, 0.85, 0.01)
        content = report(
            measured(gate("test.accuracy", require=Require.REPORT), lost), measured(gate("test.f1"), contrast(0.9, 0.9, 0.005))
        )  # fmt: skip
        assert [row[0] for row in table(comment(content))[1:]] == ["ℹ️", "✅"]  # noqa: RUF001

    def test_breaks_before_the_slice_and_within_long_names_and_nowhere_else(self) -> None:
        text = markdown.report(churn())
        (line,) = [line for line in text.splitlines() if "·" in line and line.startswith("| ❌")]
        assert line.replace(NBSP, "_") == (
            "| ❌ | `test.recall`_· `plan_=_free` | **−3.1_pp** | [−4.2,_−2.0] | 0.812_→_0.781 | `◂···┊···│·······` |"
        )
        assert f"| {SECONDS} |" in text
        assert "`plan is missing`".replace(" ", NBSP, 1) in text


class TestTheFirstSentence:
    def test_has_what_happened_in_bold_and_how_sure_that_is(self) -> None:
        assert (
            "\n**`test.recall` on `plan = free` fell by 3.1 pp, from 0.812 to 0.781** "
            "(95 % interval −4.2 … −2.0, 4,812 examples); the gate allows a loss of 1 pp.\n"
        ) in comment(churn())

    def test_of_what_cannot_be_decided_says_what_is_possible(self) -> None:
        assert (
            "\n**`test.accuracy` cannot be decided with 285 examples**: a loss of up to 2.6 pp is possible, "
            "and the gate allows a loss of 0.5 pp; about 8,600 examples would settle it.\n"
        ) in comment(undecided())

    def test_of_a_point_estimate_is_bold_as_a_whole(self) -> None:
        text = comment(report(comparison("a", 212.0, 268.0, "20%", "lower")))
        assert (
            "\n**`eval/metrics.json:a` rose from 212 to 268 (+56, +26 %); the gate allows a rise of 20% (42.4).**\n"
            in text
        )


class TestWhatCannotBeDecided:
    def test_stands_under_the_table_with_what_would_settle_it(self) -> None:
        text = comment(churn())
        below = text[text.index("| ✅ |") :].split("<details>")[0]
        assert (
            "\n\n`test.recall` on `country = MT` cannot be decided with 296 examples: a loss of up to 6.1 pp is possible, "
            "and the gate allows a loss of 3 pp; about 1,200 examples would settle it.\n"
        ) in below
        assert "- `test.recall`" not in text

    def test_is_a_few_lines_however_many_there_are(self) -> None:
        text = comment(report(*sliced("test.recall", {("city", str(n)): contrast(0.8, 0.8, 0.1) for n in range(40)})))
        assert len(re.findall(r"^`test.recall` on `city = \d+` cannot be decided", text, re.MULTILINE)) == 5
        assert "\n\n34 more cannot be decided.\n" in text


class TestSlices:
    def test_that_held_are_collapsed_with_the_worst_first_and_the_smallest_last(self) -> None:
        rows = section(comment(churn()), "23 slices held, none improved, 3 too small to judge").strip().splitlines()
        assert rows[0] == "| slice | change | 95 % interval | base | head | n |"
        assert rows[2] == "| `test.recall` · `country = DE` | −0.20 pp | −0.80 … +0.40 | 0.8430 | 0.8410 | 21,004 |"
        assert rows[-4].startswith("| `test.recall` · `plan = pro` |")
        assert rows[-1] == "| `test.recall` · `country = IS` | −10 pp | −40 … +20 | 0.80 | 0.70 | 3 &lt; 200 |"
        assert len(rows) == 2 + 26

    def test_that_improved_are_counted(self) -> None:
        better = {("plan", "a"): contrast(0.8, 0.9, 0.01), ("plan", "b"): contrast(0.8, 0.8, 0.01)}
        assert "<summary>2 slices held, 1 of them improved</summary>" in comment(report(*sliced("test.f1", better)))

    @pytest.mark.parametrize(
        ("found", "rest", "summary"),
        [
            (contrast(0.8, 0.8, 0.01), {}, "1 slice held, none improved"),
            (contrast(0.8, 0.8, 0.01, n=7), {}, "1 slice too small to judge"),
            (contrast(0.8, 0.7, 0.01), {"require": Require.REPORT}, "1 slice only reported"),
            (contrast(0.8, 0.8, 0.0), {}, "1 slice held, none improved"),
        ],
    )
    def test_are_called_what_they_are(self, found: Any, rest: dict[str, Any], summary: str) -> None:
        other = measured(gate("test.f1"), contrast(0.8, 0.8, 0.001))
        text = comment(report(other, *sliced("test.recall", {FREE: found}, **rest)))
        assert f"<summary>{summary}</summary>" in text
        assert len(table(text)) == 2

    def test_that_are_new_are_counted_and_not_listed(self) -> None:
        new = {("city", str(number)): contrast(None, 0.8, 0.0, own=0.02) for number in range(30)}
        text = comment(report(measured(gate("test.f1"), contrast(None, 0.8, 0.0)), *sliced("test.recall", new)))
        assert "<summary>30 slices new</summary>" in text
        assert "- `test.recall`" not in text
        assert [row[1] for row in table(text)[1:]] == ["`test.f1`"]

    def test_that_block_are_all_rows_and_of_those_that_warn_ten(self) -> None:
        bad = {("city", str(number)): contrast(0.9, 0.7, 0.01) for number in range(15)}
        warned = {("town", str(number)): contrast(0.9, 0.7, 0.01) for number in range(15)}
        text = comment(report(*sliced("test.f1", warned, severity=Severity.WARN), *sliced("test.recall", bad)))
        assert [row[0] for row in table(text)[1:]] == ["❌"] * 15 + ["⚠️"] * 10
        more = section(text, "5 more slices that did not hold").strip().splitlines()
        assert len(more) == 2 + 5
        assert all("town" in line for line in more[2:])

    def test_that_got_worse_have_a_row_and_no_sentence_that_says_the_same(self) -> None:
        bad = {("city", str(number)): contrast(0.9, 0.7, 0.01) for number in range(3)}
        low = {("town", "a"): contrast(0.6, 0.5, 0.01, own=0.02)}
        text = comment(report(*sliced("test.recall", bad), *sliced("test.f1", low, floor=0.7)))
        above = text[: text.index("| | gate")]
        assert above.count("fell by 0.200") == 1
        assert "wholly below its floor of 0.7" in above
        assert len(table(text)) == 1 + 4

    def test_that_cannot_be_measured_say_so(self) -> None:
        text = comment(report(*sliced("test.recall", {FREE: Gap(reason="no example is positive")})))
        assert table(text)[1] == ["❔", "`test.recall` · `plan = free`", "missing", "– → –", ""]
        assert "**Next:** mend what keeps `test.recall` on `plan = free` from being judged: what is missing" in text


class TestHowThisWasJudged:
    def test_names_methods_examples_and_confidence(self) -> None:
        judged = section(comment(churn()), "How this was judged")
        assert (
            "95 % intervals: Tango for test.recall; paired t for test.brier; DeLong for test.roc\\_auc · on 57,301 examples"
        ) in judged
        assert "a slice is worse only after Holm's correction for looking at 3 to 23 of them" in judged
        assert "1 point estimate: numbers in files carry no interval" in judged

    def test_says_what_is_counted_where_examples_come_in_clusters(self) -> None:
        judged = section(comment(undecided()), "How this was judged")
        assert "examples of one cluster resemble each other, so 41 clusters are what is counted" in judged
        assert "clustered t for test.log\\_loss" in judged

    @pytest.mark.parametrize(
        ("method", "said"),
        [
            ("repeats (seeds and examples)", "intervals cover which seeds and which examples were used"),
            ("repeats (seeds)", "intervals cover which seeds were used"),
        ],
    )
    def test_says_whether_seeds_are_covered(self, method: str, said: str) -> None:
        content = report(measured(gate("test.accuracy", rate=True), contrast(0.9, 0.9, 0.01, method=method)))
        assert f" · {said} · " in f"{section(comment(content), 'How this was judged').strip()} · "


class TestTheNextStep:
    @pytest.mark.parametrize(
        ("content", "step"),
        [
            (churn(), "restore `test.recall` on `plan = free`, or raise its margin on the base branch;"),
            (undecided(), "measure `test.accuracy` on more examples (about 8,600 examples would settle it), or raise its margin"),
            (
                report(measured(gate("test.f1", 0, require=Require.NON_INFERIOR), contrast(0.9, 0.9, 0.02))),
                "give `test.f1` a margin on the base branch: no test set can show that, and the smallest margin that "
                "this one holds is 0.029;",
            ),
            (
                report(
                    measured(gate("test.f1", floor=0.8, require=Require.NON_INFERIOR), contrast(0.81, 0.81, 0.004, own=0.02))
                ),
                "bring `test.f1` clear of its bounds, or measure it on more examples;",
            ),
            (
                report(measured(gate("test.f1", floor=0.8), contrast(0.81, 0.77, 0.004, own=0.02))),
                "bring `test.f1` back within its bounds, or change its gate on the base branch;",
            ),
            (
                report(measured(gate("test.f1", require=Require.IMPROVEMENT), contrast(0.9, 0.8999, 0.03))),
                "improve `test.f1` by more than its noise, or measure it on more examples;",
            ),
        ],
    )  # fmt: skip
    def test_is_about_what_decided(self, content: Report, step: str) -> None:
        assert f"**Next:** {step}" in comment(content)

    @pytest.mark.parametrize(
        ("metric", "command"),
        [
            ("test.recall", "ci-ml check --explain test.recall"),
            ("test.recall[big cat]", "ci-ml check --explain 'test.recall[big cat]'"),
            ("test.recall[$(reboot)]", "ci-ml check --explain all"),
            ("test.recall[`'\"]", "ci-ml check --explain all"),
        ],
    )
    def test_is_a_command_that_can_be_copied(self, metric: str, command: str) -> None:
        text = comment(report(measured(gate(metric), contrast(0.9, 0.7, 0.01))))
        assert f"Locally: `{command}`." in text


_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = [
    "a|b||c\\|d",
    "`x` ``y",
    "@team #12 https://evil.example",
    "<img src=x onerror=alert(1)></td></details>",
    "\u202eevil\u2066",
    "two\nlines\r\n\n| a | b |",
    "x" * 10_000,
    "**bold** [link](http://x) ![i](y)",
    "",
    " = ",
]


class TestTextFromStrangers:
    def parts(self, column: str, value: str | None) -> str:
        slices = {
            (column, value): contrast(0.9, 0.7, 0.01),
            (column, f"{value}2"): contrast(0.9, 0.9, 0.1),
            (column, f"{value}3"): contrast(0.9, 0.9, 0.01),
            ((column, value), (f"{column}2", value)): contrast(0.9, 0.7, 0.1, n=3),
        }
        gap = contrast(0.1, 0.2, 0.01, between=(column, str(value)))
        gapped = measured(gate("test.recall", gap=(column,), direction="lower"), gap)
        return markdown.report(report(gapped, *sliced(f"test.recall[{value}]", slices)))

    def assert_harmless(self, text: str) -> None:
        tokens = _PARSER.parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        assert {token.content for token in inline if token.type == "html_inline"} <= {"<code>", "<wbr>", "</code>"}
        assert not [token.content for token in inline if token.type in ("link_open", "image", "s_open")]
        html = [token.content.strip() for token in tokens if token.type == "html_block"]
        assert {line.split("<summary>")[0] for line in html} == {"<details>", "</details>"}
        words = " ".join(token.content for token in inline if token.type == "text")
        assert not re.search(r"@\w|://|\u202e", words)
        columns = [self.columns(tokens, index) for index, t in enumerate(tokens) if t.type == "tr_open"]
        assert columns == [6] * (1 + 3) + [6] * (1 + 2)
        assert max(map(len, text.splitlines())) < 3000

    def columns(self, tokens: list[Any], index: int) -> int:
        kinds = [token.type for token in tokens[index:]]
        return sum(kind in ("td_open", "th_open") for kind in kinds[: kinds.index("tr_close")])

    @pytest.mark.parametrize("value", NASTY)
    def test_is_text_as_a_value_and_as_a_column(self, value: str) -> None:
        self.assert_harmless(self.parts("plan", value))
        self.assert_harmless(self.parts(value, "free"))

    @given(text=hostile)
    def test_of_any_kind_is_text(self, text: str) -> None:
        self.assert_harmless(self.parts(text, text))

    def test_that_is_long_keeps_its_ends_and_what_is_said_of_it(self) -> None:
        text = comment(report(*sliced("test.recall", {("city", "a" * 10_000): contrast(0.9, 0.7, 0.01)})))
        (row,) = re.findall("^[|] ❌.*", text, re.MULTILINE)
        assert "· `city = aaaaa" in row
        assert len(row) < 200
        assert "from 0.900 to 0.700** (95 % interval −0.210 … −0.190, 4,812 examples)" in text


@pytest.mark.thorough
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    half=st.floats(0, allow_nan=False, allow_infinity=False, exclude_min=True),
    rate=st.booleans(),
)
@settings(max_examples=25)  # a whole comment each
def test_any_number_can_be_shown(number: float, half: float, rate: bool) -> None:
    part = churn().comparisons[0]
    update = {"base": number, "delta": -number, "head": 0.0, "interval": (-number - half, half - number), "rate": rate}
    content = churn().model_copy(update={"comparisons": (part.model_copy(update=update),)})
    assert "| ❌ |" in markdown.report(content)
