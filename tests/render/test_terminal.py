import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.changes import Changes, DataChange, StageChange, ValueChange
from ci_ml.core.staleness import Freshness, State
from ci_ml.core.types import Gap, MetricKey, Require, Revision, Severity
from ci_ml.render import terminal
from tests.reports import BASE, HEAD, churn, comparison, contrast, gate, measured, report, sliced, undecided

GONE = Gap(reason="eval/metrics.json has no key recall", absent=True)
NBSP = "\N{NO-BREAK SPACE}"
HOSTILE = "\x1b[2J\x1b]0;title\x07\r\n::error::\u202e\u2028[bold red]x[/]"


def changes(count: int = 1) -> Changes:
    return Changes(
        params=tuple(
            ValueChange(metric=MetricKey(path="params.yaml", key=f"lr{number}"), base=0.1, head=0.25)
            for number in range(count)
        ),
        data=tuple(DataChange(path=f"data/{number}.csv", base="md5:0123456789", head=None) for number in range(count)),
        stages=tuple(
            StageChange(name=f"train{number}", change="changed", what=("command", "param lr"))
            for number in range(count)
        ),
    )


class TestAReport:
    def test_reads_from_the_verdict_to_the_next_step(self) -> None:
        content = report(
            comparison("accuracy", 0.951, 0.962),
            comparison("recall", 0.915, 0.897, 0.02, floor=0.9),
            comparison("train.seconds", 212.0, 268.0, "20%", "lower", severity=Severity.WARN),
            differences=changes(),
            notices=("the gates were edited",),
        )
        assert terminal.report(content, width=110) == (
            "✗ churn: blocked\n"
            "eval/metrics.json:recall is 0.897, below its floor of 0.9.\n"
            f"also: eval/metrics.json:train.seconds rose from 212 to 268 (+56, +26{NBSP}%); "
            "the gate allows a rise of 20% (42.4).\n"
            "\n"
            "   gate                              base   head  change  allowed\n"
            "✗  eval/metrics.json:recall         0.915  0.897  −0.018  −0.02, ≥ 0.9\n"
            f"!  eval/metrics.json:train.seconds    212    268   +26{NBSP}%  +20%\n"
            "✓  eval/metrics.json:accuracy       0.951  0.962  +0.011  −0.005\n"
            "\n"
            "What changed: 1 param, 1 data set, 1 stage\n"
            "                      base  head\n"
            "  params.yaml lr0      0.1  0.25\n"
            "  data/0.csv       0123456     –\n"
            "  stage train0: command, param lr\n"
            "\n"
            "base aaaaaaa (merge base of HEAD and origin/main)\n"
            "head bbbbbbb + work tree on feature\n"
            "gates from the base (sha256:0000000…)\n"
            "point estimates: numbers in files carry no interval, so noise is not accounted for\n"
            "note: the gates were edited\n"
            "\n"
            "Next: bring eval/metrics.json:recall back within its bounds, or change its gate on the base branch.\n"
        )

    @pytest.mark.parametrize(
        ("head", "first"),
        [(0.9, "✓ churn: passed"), (GONE, "? churn: undecided"), (0.8, "✗ churn: blocked")],
    )
    def test_says_the_verdict_first(self, head: Gap | float, first: str) -> None:
        assert terminal.report(report(comparison("recall", 0.9, head))).splitlines()[0] == first

    def test_without_gates_or_changes_has_no_tables(self) -> None:
        lines = terminal.report(report()).splitlines()
        assert lines[:3] == ["? churn: undecided", "No gates: nothing was judged.", ""]
        assert not any(line.startswith("What changed") for line in lines)

    def test_of_many_gates_shows_what_needs_attention_and_counts_the_rest(self) -> None:
        bad = [comparison(f"bad{number}", 0.9, 0.8) for number in range(3)]
        good = [comparison(f"good{number}", 0.9, 0.9) for number in range(200)]
        text = terminal.report(report(*good, *bad))
        assert all(f":bad{number} " in text for number in range(3))
        assert text.count(":good") == 12
        assert "   and 188 more that held; all are in report.json" in text

    def test_of_very_many_bad_gates_is_cut_and_says_so(self) -> None:
        text = terminal.report(report(*[comparison(f"bad{number}", 0.9, 0.8) for number in range(150)]))
        assert text.count("\n✗  eval") == 100
        assert "   and 50 more that did not; all are in report.json" in text

    def test_of_many_changes_is_cut_and_says_so(self) -> None:
        text = terminal.report(report(comparison("a", 0.9, 0.9), differences=changes(25)))
        assert "What changed: 25 params, 25 data sets, 25 stages" in text
        assert text.count("params.yaml lr") == text.count("  stage train") == 10
        assert "  and 45 more, in report.json" in text

    @pytest.mark.parametrize("width", [20, 40, 80, 200])
    def test_fits_the_width(self, width: int) -> None:
        content = report(comparison(f"{'long' * 30}.name", 0.9, 0.8), differences=changes(), notices=("n " * 90,))
        assert all(len(line) <= width for line in terminal.report(content, width=width).splitlines())

    def test_has_colour_only_when_asked_for(self) -> None:
        content = report(comparison("a", 0.9, 0.8))
        assert "\x1b[" not in terminal.report(content, color=False)
        assert "\x1b[1;31m" in terminal.report(content, color=True)


def board(text: str) -> str:
    """The part of a report from the table of gates to the next blank line, with blanks for non-breaking ones."""
    lines = text.replace(NBSP, " ").splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(" +gate +base", line))
    return "\n".join(lines[start : lines.index("", start)])


class TestGatesWithIntervals:
    def test_fit_80_columns_with_harm_first_and_slices_that_held_in_one_line(self) -> None:
        assert board(terminal.report(churn(), width=80)) == (
            "  gate                base   head −m ┊ 0 │ better  change [95 % interval]\n"
            "✗ test.recall ·      0.812  0.781 ◂···┊···│······· −3.1 pp [−4.2, −2.0]\n"
            "  plan = free\n"
            "! eval/metrics.json    212    268 ···●┊···│······· +26 %\n"
            "  :train.seconds\n"
            "! test.recall ·      0.790  0.770 ├───┊●──│──┤···· −2.0 pp [−6.1, +2.1]\n"
            "  country = MT\n"
            "! test.recall ·      0.833  0.828 ├───┊─●─│───┤··· −0.5 pp [−1.9, +0.9]\n"
            "  plan is missing\n"
            "✓ test.recall       0.8402 0.8361 ····┊─●─│······· −0.41 pp [−0.89, +0.07]\n"
            "✓ test.brier        0.0912 0.0909 ····┊··├│●┤····· −0.00030 [−0.00090, +0.00030]\n"
            "✓ test.roc_auc      0.9104 0.9121 ····┊···│●┤····· +0.0017 [+0.0004, +0.0030]\n"
            "✓ test.recall: 23 slices held, none improved, 3 too small to judge; worst:\n"
            "  country = DE −0.20 pp [−0.80, +0.40], n 21,004"
        )

    def test_say_what_is_allowed_where_there_is_room(self) -> None:
        shown = board(terminal.report(churn(), width=120))
        assert "✗  test.recall · plan = free         0.812   0.781  ◂···┊···│·······  −3.1 pp [−4.2, −2.0]" in shown
        assert shown.splitlines()[5].endswith("  −1 pp, ≥ 0.8")

    @pytest.mark.parametrize("width", [20, 30, 40, 60, 79, 80, 103, 104, 200])
    def test_fit_every_width_with_their_numbers_whole(self, width: int) -> None:
        for content in (churn(), undecided()):
            text = terminal.report(content, width=width)
            assert all(len(line) <= width for line in text.splitlines())
        if width >= 40:
            shown = board(terminal.report(churn(), width=width)).split()
            assert {"0.812", "0.781", "−3.1", "[−4.2,", "−2.0]"} <= set(shown)

    def test_give_up_the_plot_before_a_number(self) -> None:
        shown = board(terminal.report(churn(), width=60))
        assert "┊" not in shown
        assert " 0.812  0.781 −3.1 pp [−4.2, −2.0]\n" in shown

    def test_have_a_few_sentences_before_the_table(self) -> None:
        items = [measured(gate(f"test.m{number}"), contrast(0.9, 0.7, 0.01)) for number in range(9)]
        lines = terminal.report(report(*items), width=200).splitlines()
        assert len([line for line in lines if line.startswith("also: ")]) == 5
        assert "and 3 more, in report.json" in lines

    def test_say_what_to_do_and_how_to_learn_more(self) -> None:
        lines = terminal.report(undecided(), width=200).replace(NBSP, " ").splitlines()
        assert lines[-2:] == [
            "Next: measure test.accuracy on more examples (about 8,600 examples would settle it), "
            "or raise its margin on the base branch.",
            "Why: `ci-ml check --explain test.accuracy`",
        ]

    def test_only_warn_about_as_many_slices_as_anybody_reads(self) -> None:
        found = {("city", str(number)): contrast(0.9, 0.89, 0.1) for number in range(30)}
        text = terminal.report(report(*sliced("test.f1", found)), width=120)
        assert text.count("\n!  test.f1 · city = ") == 10
        assert "\n!  and 20 more slices that only warn\n" in text

    def test_of_many_metrics_have_a_line_for_the_slices_of_some(self) -> None:
        found = {("city", "a"): contrast(0.9, 0.9, 0.001)}
        slices = [item for number in range(14) for item in sliced(f"test.f1[{number}]", found)]
        text = terminal.report(report(*slices), width=120)
        assert text.count(": 1 slice held, none improved; worst: city = a ") == 10
        assert "and slices of 4 more metrics, in report.json" in text

    def test_that_only_report_are_no_success_and_slices_too_small_neither(self) -> None:
        small = sliced("test.f1", {("city", "a"): contrast(0.9, 0.8, 0.1, n=3)})
        lost = measured(gate("test.recall", require=Require.REPORT), contrast(0.9, 0.8, 0.01))
        text = terminal.report(report(lost, *small), width=120)
        assert "\ni  test.recall " in text
        assert "\n·  test.f1: 1 slice too small to judge\n" in text

    def test_of_slices_with_very_long_names_stay_readable(self) -> None:
        name = ("city" * 1000, "a" * 10_000)
        text = terminal.report(report(*sliced("test.f1", {name: contrast(0.9, 0.7, 0.01)})), width=80)
        assert len(text) < 3000
        assert "fell by 0.200, from 0.900 to 0.700" in " ".join(text.split())


class TestTextFromStrangers:
    def report(self, text: str) -> str:
        key = MetricKey(path=text, key=text)
        differences = Changes(
            params=(ValueChange(metric=key, base=text, head=[text]),),
            data=(DataChange(path=text, base=text, head=text),),
            stages=(StageChange(name=text, change="changed", what=(text,)),),
        )
        slices = {(text, text): contrast(0.9, 0.7, 0.1), (text, f"{text}2"): contrast(0.9, 0.9, 0.01)}
        readings = (
            comparison(f"{text}:x", 0.9, 0.8),
            comparison(f"{text}:y", 0.9, Gap(reason=text)),
            measured(gate("test.recall", gap=(text,)), contrast(0.1, 0.2, 0.01, between=(text, text))),
            *sliced(f"test.recall[{text}]", slices),
        )
        return terminal.report(report(*readings, differences=differences, notices=(text,)), width=500)

    def test_cannot_move_the_cursor_start_a_line_or_hide(self) -> None:
        shown = self.report(HOSTILE)
        assert r"\x1b[2J\x1b]0;title\x07\r\n::error::\u202e\u2028[bold red]x[/]" in shown
        assert not any(line.startswith("::") for line in shown.splitlines())
        self.assert_harmless(shown)

    @given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=10))
    def test_of_any_kind_leaves_only_printable_lines(self, text: str) -> None:
        self.assert_harmless(self.report(text))

    def assert_harmless(self, shown: str) -> None:
        assert not {unicodedata.category(char) for char in shown.replace("\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}

    def test_in_a_diff_and_in_a_verification_neither(self) -> None:
        key = MetricKey(path=HOSTILE, key=HOSTILE)
        found = Changes(
            metrics=(ValueChange(metric=key, base=HOSTILE, head=1),),
            data=(DataChange(path=HOSTILE, base=HOSTILE, head=None),),
            stages=(StageChange(name=HOSTILE, change="added"),),
        )
        self.assert_harmless(terminal.diff(BASE, HEAD, found, [HOSTILE], width=300))
        item = Freshness(name=HOSTILE, state=State.STALE, reasons=(HOSTILE,), missing=(HOSTILE,), unchecked=(HOSTILE,))
        self.assert_harmless(terminal.freshness([item], width=300))


class TestADiff:
    def test_has_a_table_for_each_kind(self) -> None:
        found = Changes(
            metrics=(
                ValueChange(metric=MetricKey(path="m.json", key="acc"), base=0.9, head=0.912),
                ValueChange(metric=MetricKey(path="m.json", key="name"), base="a", head=None),
            ),
            params=(ValueChange(metric=MetricKey(path="params.yaml", key="lr"), base=None, head=0.1),),
            data=changes().data,
            stages=(StageChange(name="train", change="added"),),
        )
        assert terminal.diff(BASE, HEAD, found, ["m.yaml is empty"]) == (
            "aaaaaaa (merge base of HEAD and origin/main) → bbbbbbb + work tree\n"
            "\n"
            "Metrics       base   head  change\n"
            "m.json:acc   0.900  0.912  +0.012\n"
            "m.json:name      a      –\n"
            "\n"
            "Params          base  head  change\n"
            "params.yaml:lr     –   0.1\n"
            "\n"
            "Data           base  head\n"
            "data/0.csv  0123456     –\n"
            "\n"
            "Stages\n"
            "train   added\n"
            "note: m.yaml is empty\n"
        )

    def test_of_nothing_says_so(self) -> None:
        text = terminal.diff(BASE, Revision(sha="b" * 40), Changes(), [])
        assert text.splitlines()[-1] == "No difference in metrics, params, data or stages."

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, [1, {"a": 2}], True, "é"])
    def test_of_any_value_can_be_shown(self, value: object) -> None:
        key = MetricKey(path="m.json", key="x")
        assert terminal.diff(BASE, HEAD, Changes(metrics=(ValueChange(metric=key, base=value, head=1.5),)), [])


class TestAVerification:
    def test_names_stale_stages_with_their_reasons_first(self) -> None:
        items = [
            Freshness(name="prepare", state=State.CURRENT, missing=("data",)),
            Freshness(name="train", state=State.STALE, reasons=("command: differs", "code: a.py differs")),
            Freshness(name="notify", state=State.ALWAYS, reasons=("runs every time",)),
            Freshness(name="old", state=State.FROZEN),
            Freshness(name="eval", state=State.CURRENT, missing=("data", "model"), unchecked=("s3://x",)),
        ]
        assert terminal.freshness(items) == (
            "✗ dvc.lock is out of date: 1 of 5 stages\n"
            "  train\n"
            "    command: differs\n"
            "    code: a.py differs\n"
            "  notify: runs every time\n"
            "  old: frozen, never reproduced\n"
            "  not here, which is fine: data, model\n"
            "  outside the repository, not checked: s3://x\n"
            "\n"
            "Next: `ci-ml train` reproduces them; then commit dvc.lock.\n"
        )

    @pytest.mark.parametrize(("count", "said"), [(0, "no stage"), (1, "1 stage"), (3, "all 3 stages")])
    def test_of_what_is_current_is_one_line(self, count: int, said: str) -> None:
        items = [Freshness(name=f"s{number}", state=State.CURRENT) for number in range(count)]
        assert terminal.freshness(items) == f"✓ dvc.lock is up to date ({said})\n"

    def test_of_many_missing_files_names_a_few(self) -> None:
        item = Freshness(name="a", state=State.CURRENT, missing=tuple(f"f{number}" for number in range(9)))
        assert "f0, f1, f2, f3, f4 and 4 more" in terminal.freshness([item])
