"""`ci-ml check --explain`: why a gate came to its status, in words."""

from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.cli import cli
from ci_ml.core.report import Report
from ci_ml.core.types import Gap, Require, Severity
from ci_ml.errors import UsageError
from ci_ml.render import terminal
from tests.reports import churn, comparison, contrast, gate, measured, report, sliced, undecided
from tests.repositories import Repository

NBSP = "\N{NO-BREAK SPACE}"


def explained(content: Report, wanted: str = "all", width: int = 400) -> str:
    return terminal.explain(content, wanted, width=width).replace(NBSP, " ")


def lines(content: Report, wanted: str = "all") -> dict[str, str]:
    """What is said about the first gate, by its label."""
    first = explained(content, wanted).split("\n\n")[1].splitlines()
    found = [line.strip().partition("  ") for line in first]
    return {label: said.strip() for label, _, said in found if said}


class TestAGateWithAnInterval:
    def test_is_told_from_what_was_compared_to_what_it_came_to(self) -> None:
        assert explained(undecided(), "test.accuracy", width=80) == (
            "? churn: undecided\n"
            "\n"
            "? test.accuracy\n"
            "  test.accuracy cannot be decided with 285 examples: a loss of up to 2.6 pp is\n"
            "  possible, and the gate allows a loss of 0.5 pp; about 8,600 examples would\n"
            "  settle it.\n"
            "  compared   base 0.916, head 0.909, on the same 285 examples\n"
            "  method     Tango: the metric is a share of examples that both sides were asked\n"
            "             about, and Tango's score interval keeps its promise also when few\n"
            "             of them change\n"
            "  interval   −0.7 pp; with 95 % confidence the true change is between −2.6 and\n"
            "             +1.2 pp\n"
            "  margin     a loss of 0.5 pp is allowed; the interval reaches beyond it: a loss\n"
            "             of 2.6 pp is possible, and so is no loss at all\n"
            "  gate       non_inferior: what got worse blocks, and so does what cannot be\n"
            "             decided\n"
            "  status     inconclusive, which leaves the verdict undecided (exit code 11): a\n"
            "             loss of more than the margin is neither shown nor ruled out\n"
            "  test set   the smallest margin it can hold is 3.2 pp: an unchanged model\n"
            "             passes that in 80 % of cases\n"
            "  to decide  about 8,600 examples would settle it\n"
            "  ! the margin of 0.5 pp is smaller than what 285 examples can show, 3.2 pp\n"
        )

    @pytest.mark.parametrize(
        ("base", "head", "half", "status", "margin"),
        [
            (
                0.90, 0.80, 0.02,
                "regressed, which blocks (exit code 10): the whole interval is a loss, and the loss that was measured is "
                "more than the margin",
                "the whole interval is beyond it",
            ),
            (
                0.90, 0.88, 0.015,
                "regressed, which blocks (exit code 10): the whole interval is a loss, and the loss that was measured is "
                "more than the margin",
                "the whole interval is a loss, and part of it is beyond that: a loss of 3.5 pp is possible",
            ),
            (
                0.90, 0.899, 0.005,
                "held, which passes: a loss of more than the margin is ruled out",
                "the worst that the interval leaves possible, a loss of 0.60 pp, is within it",
            ),
            (
                0.90, 0.95, 0.005,
                "improved, which passes: the whole interval is an improvement",
                "the whole interval is an improvement",
            ),
        ],
    )  # fmt: skip
    def test_says_what_its_interval_means(
        self, base: float, head: float, half: float, status: str, margin: str
    ) -> None:
        said = lines(report(measured(gate("test.recall", rate=True), contrast(base, head, half))))
        assert said["status"] == status
        assert said["margin"] == f"a loss of 1 pp is allowed; {margin}"

    def test_says_rise_where_less_is_better(self) -> None:
        said = lines(report(measured(gate("test.brier", 0.01, "lower"), contrast(0.1, 0.15, 0.01))))
        assert said["margin"] == "a rise of 0.01 is allowed; the whole interval is beyond it"
        assert "the whole interval is a rise, and the rise that was measured" in said["status"]
        said = lines(report(measured(gate("test.brier", 0.03, "lower"), contrast(0.1, 0.101, 0.02))))
        assert said["margin"].endswith("the worst that the interval leaves possible, a rise of 0.021, is within it")

    @pytest.mark.parametrize(
        ("head", "said", "status"),
        [
            (0.85, "clears it", "held, which passes"),
            (0.75, "is wholly beyond it", "regressed, which blocks (exit code 10): the head is beyond its bounds"),
            (
                0.79,
                "reaches beyond it",
                "inconclusive, which warns: the interval of the head's own value reaches beyond",
            ),
        ],
    )
    def test_says_what_became_of_its_floor(self, head: float, said: str, status: str) -> None:
        found = lines(report(measured(gate("test.f1", floor=0.8), contrast(head, head - 1e-4, 0.004, own=0.02))))
        assert found["bounds"].startswith("floor 0.8: the head, 0.")
        assert found["bounds"].endswith(f"], {said}")
        assert found["status"].startswith(status)
        assert "to decide" not in found

    def test_says_what_became_of_its_ceiling(self) -> None:
        found = lines(
            report(measured(gate("test.f1", 0.1, "lower", ceiling=0.8), contrast(0.7, 0.7001, 0.004, own=0.02)))
        )
        assert found["bounds"] == "ceiling 0.8: the head, 0.700 [0.680, 0.720], clears it"

    @pytest.mark.parametrize(
        ("require", "rest", "said"),
        [
            (Require.NO_REGRESSION, {}, "no_regression: what got worse blocks, what cannot be decided warns"),
            (Require.NON_INFERIOR, {}, "non_inferior: what got worse blocks, and so does what cannot be decided"),
            (Require.IMPROVEMENT, {}, "improvement: anything but an improvement that the test set shows blocks"),
            (Require.REPORT, {}, "report: nothing blocks"),
            (
                Require.NON_INFERIOR,
                {"severity": Severity.WARN},
                "non_inferior: what got worse blocks, and so does what cannot be decided; here it only warns",
            ),
        ],
    )
    def test_says_what_its_gate_asks_for(self, require: Require, rest: dict[str, Any], said: str) -> None:
        asked = gate("test.f1", require=require, **rest)
        assert lines(report(measured(asked, contrast(0.9, 0.9, 0.1))))["gate"] == said

    @pytest.mark.parametrize(
        ("method", "said"),
        [
            ("delong", "DeLong: an AUC is a mean over pairs of examples"),
            ("multinomial draws", "multinomial draws: the metric is worked out from counts"),
            ("adjusted delta method", "adjusted delta method: the metric is worked out from counts"),
            ("paired t", "paired t: the metric is a mean of one number per example"),
            ("paired t (delta method)", "paired t (delta method): the metric is a smooth function of means"),
            ("clustered t", "clustered t: examples of one cluster resemble each other"),
            ("obuchowski", "Obuchowski: an AUC on examples that come in clusters"),
            ("linearized average precision", "linearized average precision: every example gets the amount"),
            ("binned delta method", "binned delta method: a calibration error is a sum over bins"),
            ("woodruff (paired)", "Woodruff (paired): the metric is a quantile"),
            ("gap (delta method)", "delta method on the gap: the change of the gap"),
            ("mover (wilson)", "MOVER: the groups share no example"),
            ("widest of 3: mover (wilson)", "MOVER: the groups share no example"),
            ("flip rate", "flip rate: a model flips nothing against itself"),
            ("repeats (seeds and examples)", "repeats over seeds: every side was trained with several seeds"),
            ("delong (bound for perfect separation)", "DeLong: an AUC is a mean"),
            ("something of tomorrow", "something of tomorrow"),
        ],
    )
    def test_says_why_this_method(self, method: str, said: str) -> None:
        assert lines(report(measured(gate("test.f1"), contrast(0.9, 0.9, 0.01, method=method))))["method"].startswith(
            said
        )

    def test_of_identical_sides_needs_no_interval(self) -> None:
        said = lines(undecided(), "val.accuracy")
        assert said["interval"] == "none is needed: every example counts alike on both sides"
        assert said["status"] == "unchanged, which passes: both sides are the same"
        assert "test set" not in said

    def test_that_is_new_or_missing_says_so(self) -> None:
        new = lines(report(measured(gate("test.f1"), contrast(None, 0.9, 0, own=0.02))))
        assert new["compared"] == "head 0.900 on 4,812 examples; the base has none"
        assert new["status"] == "new, which warns: the base never had it, so there is nothing to compare with"
        gone = explained(report(measured(gate("test.f1"), Gap(reason="ids do not pair"))))
        assert "test.f1 cannot be judged: ids do not pair." in gone
        assert "missing, which leaves the verdict undecided (exit code 11): what cannot be measured cannot pass" in gone

    def test_of_repeats_says_what_they_cover(self) -> None:
        said = lines(report(measured(gate("test.f1"), contrast(0.9, 0.9, 0.01, method="repeats (seeds)"))))
        assert "it covers which seeds it got, not which examples" in said["method"].replace("the interval", "it")


@pytest.mark.parametrize("width", range(40, 100, 7))
def test_a_number_and_its_unit_stay_on_one_line(width: int) -> None:
    text = terminal.explain(undecided(), "all", width=width) + terminal.report(churn(), width=width)
    assert not [line for line in text.splitlines() if line.strip().startswith(("pp", "%"))]


class TestTheWarningAboutAMargin:
    @pytest.mark.parametrize(
        ("margin", "rest", "said"),
        [
            (0.005, {}, "! the margin of 0.5 pp is smaller than what 285 examples can show, 2.7 pp"),
            (0, {}, "! no test set shows that nothing at all was lost; 285 examples can show 2.7 pp"),
            ("3%", {}, "! the margin of 2.7 pp is smaller than what 285 examples can show, 2.72 pp"),
            (0.05, {}, None),
            (0.005, {"require": Require.REPORT}, None),
            (0.005, {"require": Require.IMPROVEMENT}, None),
        ],
    )
    def test_is_there_where_the_test_set_cannot_hold_it(
        self, margin: float | str, rest: dict[str, Any], said: str | None
    ) -> None:
        text = explained(report(measured(gate("test.f1", margin, rate=True, **rest), contrast(0.9, 0.9, 0.019, 285))))
        assert [line.strip() for line in text.splitlines() if line.startswith("  ! ")] == ([said] if said else [])

    def test_counts_clusters_where_they_are_what_counts(self) -> None:
        text = explained(report(measured(gate("test.f1"), contrast(0.9, 0.9, 0.02, 285, clusters=41))))
        assert "! the margin of 0.01 is smaller than what 41 clusters (285 examples) can show, 0.029" in text

    def test_of_slices_is_one_line(self) -> None:
        text = explained(churn(), "test.recall")
        assert (
            "! in 4 of 26 slices the margin is smaller than what their examples can show; "
            "worst: country = MT can show 6.1 pp with 296 examples"
        ) in text


class TestSlices:
    def test_are_shown_with_harm_first_and_with_what_holm_made_of_them(self) -> None:
        text = explained(churn(), "recall", width=80)
        assert "Of 3 to 23 slices some look worse by chance alone" in text
        rows = text[text.index("    slice ") :].splitlines()
        assert rows[0].split() == "slice change [95 % interval] n p, corrected".split()
        assert rows[1] == "  ✗ plan = free     −3.1 pp [−4.2, −2.0]     4,812      < 0.001 regressed"
        assert rows[2] == "  ! country = MT    −2.0 pp [−6.1, +2.1]       296            1 inconclusive"
        assert rows[29] == "  · country = IS    −10 pp [−40, +20]            3              too small"
        assert "test.recall on country = MT cannot be decided with 296 examples" in text

    def test_of_one_gate_by_name(self) -> None:
        text = explained(churn(), "test.recall on plan = free")
        assert "Holm      p < 0.001, which is < 0.001 after correcting for 3 slices" in text
        assert "country" not in text

    def test_that_may_be_chance_say_so(self) -> None:
        found = {("city", str(number)): contrast(0.9, 0.9, 0.02) for number in range(40)}
        found["city", "x"] = contrast(0.9, 0.86, 0.035)
        text = explained(report(*sliced("test.f1", found)), "test.f1 on city = x")
        assert "Holm       p 0.025, which is 1 after correcting for 41 slices" in text
        assert "it looks like a loss, but among so many slices that may be chance" in text

    def test_that_are_too_small_say_what_the_gate_asks_for(self) -> None:
        text = explained(churn(), "test.recall on country = IS")
        assert "too small: fewer than the 200 examples that the gate asks for, so it is shown and not judged" in text
        assert "settle" not in text

    def test_have_their_sentence_where_a_row_does_not_say_it_all(self) -> None:
        found = {("city", str(number)): contrast(0.9, 0.9, 0.2) for number in range(9)}
        found["city", "bad"] = contrast(0.9, 0.7, 0.01)
        text = explained(report(*sliced("test.f1", found)))
        assert text.count(" cannot be decided with 4,812 examples: ") == 5
        assert "\n  and 4 more\n" in text
        assert "city = bad fell" not in text

    def test_of_many_are_cut(self) -> None:
        found = {("city", str(number)): contrast(0.9, 0.9, 0.001) for number in range(200)}
        text = explained(report(*sliced("test.f1", found)))
        assert "test.f1: 200 slices" in text
        assert "and 170 more, in report.json" in text
        assert text.count("\n  ✓ city = ") == 30


class TestPointEstimates:
    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (0.95, "improved, which passes: it got better"),
            (0.9, "unchanged, which passes: both sides are the same"),
            (0.896, "held, which passes: it got worse, by no more than the margin"),
            (0.8, "regressed, which blocks (exit code 10): it got worse by more than the margin"),
        ],
    )
    def test_say_that_noise_is_not_accounted_for(self, head: float, status: str) -> None:
        said = lines(report(comparison("accuracy", 0.9, head)))
        assert said["compared"].endswith("plain numbers, which say nothing about noise")
        assert said["status"] == status
        assert {"interval", "method", "test set"}.isdisjoint(said)


class TestWhichGate:
    content = report(
        comparison("eval/metrics.json:train.seconds", 1.0, 1.0),
        *(
            measured(gate(name), contrast(0.9, 0.9, 0.001))
            for name in ("test.recall", "val.recall", "test.recall[cat]", "test.roc_auc")
        ),
        measured(gate("test.recall", gap=("country",)), contrast(0.1, 0.1, 0.01)),
    )

    @pytest.mark.parametrize(
        ("wanted", "metrics"),
        [
            ("test.recall", ["test.recall"]),
            ("recall", ["test.recall", "val.recall"]),
            ("ROC", ["test.roc_auc"]),
            ("train.seconds", ["eval/metrics.json:train.seconds"]),
            ("seconds", ["eval/metrics.json:train.seconds"]),
            ("[cat]", ["test.recall[cat]"]),
            ("gap", ["test.recall gap by country"]),
        ],
    )
    def test_is_meant_by_its_name_or_a_part_that_only_it_has(self, wanted: str, metrics: list[str]) -> None:
        text = explained(self.content, wanted)
        assert sorted(line[2:] for line in text.splitlines()[2:] if line.startswith("✓ ")) == sorted(metrics)

    def test_is_every_gate_on_request(self) -> None:
        assert explained(self.content).count("\n✓ ") == 6

    @pytest.mark.parametrize(
        ("wanted", "what", "hint"),
        [
            ("f1", "no gate is called 'f1'", "these are: test.recall, val.recall, "),
            ("", "no gate is called ''", "these are: test.recall, val.recall, "),
            ("rec", "'rec' could be 4 gates", "these are: test.recall, "),
        ],
    )
    def test_is_asked_back_where_it_could_be_none_or_several(self, wanted: str, what: str, hint: str) -> None:
        with pytest.raises(UsageError) as error:
            explained(self.content, wanted)
        assert error.value.what == what
        assert str(error.value.hint).startswith(hint)

    def test_is_none_where_there_are_no_gates(self) -> None:
        assert explained(report()) == "? churn: undecided\nNo gates: nothing was judged.\n"
        with pytest.raises(UsageError) as error:
            explained(report(), "recall")
        assert error.value.hint == "there are no gates: add some to ci-ml.yaml"

    def test_of_very_many_gates_names_some(self) -> None:
        many = report(*(measured(gate(f"test.m{number}"), contrast(0.9, 0.9, 0.001)) for number in range(300)))
        with pytest.raises(UsageError) as error:
            explained(many, "x" * 10_000)
        assert " and 280 more" in str(error.value.hint)
        assert len(error.value.what) < 300


@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), width=st.integers(40, 200))
def test_text_from_strangers_stays_text(text: str, width: int) -> None:
    slices = {(text, text): contrast(0.9, 0.7, 0.1), (text, f"{text}2"): contrast(0.9, 0.9, 0.01, n=3)}
    gap = measured(gate("test.recall", gap=(text,)), contrast(0.1, 0.2, 0.01, between=(text, text), method=text))
    shown = terminal.explain(report(gap, *sliced(f"test.recall[{text}]", slices)), "all", width=width)
    assert not [line for line in shown.splitlines() if line.startswith("::")]
    assert all(char.isprintable() or char in ("\n", NBSP) for char in shown)


class TestTheCommand:
    @pytest.fixture
    def changed(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
        gates = "version: 1\ngates:\n  - {metric: 'm.json:acc', direction: higher, margin: 0.01}\n"
        repository.commit({"ci-ml.yaml": gates, "m.json": '{"acc": 0.9}', ".gitignore": ".ci-ml\n"})
        repository.branch("feature")
        repository.commit({"m.json": '{"acc": 0.8}'})
        monkeypatch.chdir(repository.root)
        return repository

    def ask(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["check", "--base", "main", *arguments], catch_exceptions=False)

    @pytest.mark.parametrize("wanted", ["acc", "m.json:acc", "all"])
    def test_explains_and_exits_with_the_verdict(self, changed: Repository, wanted: str) -> None:
        done = self.ask("--explain", wanted)
        assert done.exit_code == 10, done.output
        assert "status    regressed, which blocks (exit code 10)" in done.stdout
        assert (changed.root / ".ci-ml" / "report.json").is_file()

    def test_of_an_unknown_gate_is_a_usage_error_that_lists_the_gates(self, changed: Repository) -> None:
        done = self.ask("--explain", "recall")
        assert done.exit_code == 2
        assert "error: no gate is called 'recall'\nhint: these are: m.json:acc; or `all`\n" in done.stderr
        assert done.stdout == ""

    def test_is_for_people_and_not_for_programs(self, changed: Repository) -> None:
        done = self.ask("--explain", "acc", "--format", "json")
        assert done.exit_code == 2
        assert "--explain is for people to read" in done.stderr
