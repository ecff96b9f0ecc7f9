from typing import Any

import pytest

from ci_ml.core.changes import Changes, DataChange, StageChange, ValueChange
from ci_ml.core.compare import Comparison, compare_measured
from ci_ml.core.report import StageRunPart, TrainingPart
from ci_ml.core.types import Gap, MetricKey, Outcome, Require, Revision, Severity
from ci_ml.core.verdict import decide
from ci_ml.render import cells, words
from tests.reports import comparison, contrast, gate, report

GONE = Gap(reason="eval/metrics.json has no key acc", absent=True)
NBSP = "\N{NO-BREAK SPACE}"


class TestARow:
    @pytest.mark.parametrize(
        ("item", "values", "change", "allows"),
        [
            (comparison("a", 0.911, 0.9), ("0.911", "0.900"), "−0.011", "−0.005"),
            (comparison("a", 0.9, 0.95, 0), ("0.90", "0.95"), "+0.05", "no loss"),
            (comparison("a", 0.9, 0.9), ("0.9", "0.9"), "0.0", "−0.005"),
            (comparison("a", 212.0, 305.0, "20%", "lower"), ("212", "305"), f"+44{NBSP}%", "+20%"),
            (comparison("a", 212.0, 100.0, 0, "lower"), ("212", "100"), "−112", "no rise"),
            (comparison("a", 212.0, 214.0, 5, "lower"), ("212", "214"), "+2", "+5"),
            (comparison("a", 0.0, 3.0, "20%"), ("0", "3"), "+3", "−20%"),
            (comparison("a", GONE, 0.9), ("–", "0.9"), "new", "−0.005"),
            (comparison("a", 0.9, GONE), ("0.9", "–"), "missing", "−0.005"),
            (comparison("a", 0.9, 0.9, floor=0.8, ceiling=1), ("0.9", "0.9"), "0.0", "−0.005, ≥ 0.8, ≤ 1"),
            (comparison("a", 0.9, 0.8, require=Require.REPORT), ("0.9", "0.8"), "−0.1", "report only"),
            (comparison("a", 0.9, 0.8, require=Require.IMPROVEMENT), ("0.9", "0.8"), "−0.1", "an improvement"),
        ],
    )
    def test_shows_both_values_the_change_and_what_was_allowed(
        self, item: Comparison, values: tuple[str, str], change: str, allows: str
    ) -> None:
        (part,) = report(item).comparisons
        assert (cells.values(part), cells.change(part), cells.allows(part)) == (values, change, allows)


class TestTheNextStep:
    @pytest.mark.parametrize(
        ("items", "step"),
        [
            ([comparison("a", 0.9, 0.9)], None),
            ([], "add gates to ci-ml.yaml: without any, nothing can pass."),
            (
                [comparison("a", GONE, 0.9)],
                "merge it to set the baseline; from then on every change is compared with it.",
            ),
            (
                [comparison("a", 0.9, 0.8)],
                "restore eval/metrics.json:a, or raise its margin on the base branch.",
            ),
            (
                [comparison("a", 0.9, 0.85, floor=0.8)],
                "restore eval/metrics.json:a, or raise its margin on the base branch.",
            ),
            (
                [comparison("a", 0.9, 0.75, floor=0.8)],
                "bring eval/metrics.json:a back within its bounds, or change its gate on the base branch.",
            ),
            (
                [comparison("a", 0.9, 0.9, require=Require.IMPROVEMENT)],
                "improve eval/metrics.json:a, or change what its gate requires on the base branch.",
            ),
            (
                [comparison("a", 0.9, GONE)],
                "write eval/metrics.json:a on both sides: what is missing cannot pass.",
            ),
            (
                [comparison("warned", 0.9, 0.1, severity=Severity.WARN), comparison("a", 0.9, 0.8)],
                "restore eval/metrics.json:a, or raise its margin on the base branch.",
            ),
            ([comparison("a", 0.9, 0.8, severity=Severity.WARN)], None),
        ],
    )
    def test_is_about_what_decided(self, items: list[Comparison], step: str | None) -> None:
        assert words.next_step(report(*items)) == step

    @pytest.mark.parametrize(
        ("doubt", "step"),
        [
            ("dvc.lock is stale: train (code: a.py differs)", "run `ci-ml train`, commit dvc.lock"),
            ("This change freezes stage train, so", "let the stages of the base make these numbers"),
        ],
    )
    def test_trains_only_where_that_would_help(self, doubt: str, step: str) -> None:
        given = report(comparison("a", 0.9, 0.9))
        verdict = given.verdict.model_copy(update={"outcome": Outcome.UNDECIDED, "sentence": doubt})
        assert (words.next_step(given.model_copy(update={"verdict": verdict})) or "").startswith(step)


class TestProvenance:
    def test_says_which_commits_whose_gates_and_on_what_evidence(self) -> None:
        stages = (StageRunPart(name="a", state="ran", seconds=1), StageRunPart(name="b", state="cached", seconds=1))
        content = report(comparison("a", 0.9, 0.9), training=TrainingPart(stages=stages, seconds=268.4))
        assert words.provenance(content) == [
            "base aaaaaaa (merge base of HEAD and origin/main)",
            "head bbbbbbb + work tree on feature",
            "gates from the base (sha256:0000000…)",
            "point estimates: numbers in files carry no interval, so noise is not accounted for",
        ]

    def test_says_nothing_of_numbers_in_files_where_no_gate_reads_one(self) -> None:
        unread = compare_measured(gate("test.recall", 0.01), Gap(reason="there is no such file"))
        measured = compare_measured(gate("test.mcc", 0.01), contrast(0.8, 0.8, 0.004))
        for items in ([unread], [unread, measured]):
            assert not [said for said in words.provenance(report(*items)) if "point estimate" in said]

    def test_of_a_clean_detached_head_without_gates(self) -> None:
        content = report(head=Revision(sha="c" * 40))
        assert words.provenance(content) == [
            "base aaaaaaa (merge base of HEAD and origin/main)",
            "head ccccccc",
            "gates from the base (sha256:0000000…)",
        ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.04, "0.0 s"),
        (3.25, "3.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (60, "1 min 0 s"),
        (268.4, "4 min 28 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration(value: float, expected: str) -> None:
    assert words.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (True, "true"),
        (0.1, "0.1"),
        (100000, "100,000"),
        (-1, "−1"),
        ("relu", "relu"),
        ("x" * 70, f"{'x' * 57}..."),
        ([1, 2], None),
        (10**400, None),
    ],
)
def test_a_parameter(value: Any, expected: str | None) -> None:
    shown = words.text(value)
    assert shown == expected if expected is not None else shown


@pytest.mark.parametrize(
    ("value", "expected"), [("md5:0123456789", "0123456"), ("md5:01.dir", "01.dir"), (None, "–"), ("", "–")]
)
def test_a_digest(value: str | None, expected: str) -> None:
    assert words.digest(value) == expected


def test_what_changed_in_one_line() -> None:
    key = MetricKey(path="params.yaml", key="lr")
    differences = Changes(
        params=(ValueChange(metric=key, base=1, head=2),) * 2,
        data=(DataChange(path="data", base=None, head="md5:1"),),
        stages=(StageChange(name="train", change="added"),) * 3,
    )
    assert words.changed(report(differences=differences)) == "2 params, 1 data set, 3 stages"
    assert words.changed(report()) is None


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_word_and_its_symbol(outcome: Outcome) -> None:
    assert words.HEADLINE[outcome]
    assert words.SYMBOL[outcome]


def test_headlines_say_blocked_only_when_it_blocks() -> None:
    outcomes = {decide([comparison("a", 0.9, head)]).outcome: head for head in (0.9, 0.8)}
    assert [words.HEADLINE[outcome] for outcome in outcomes] == ["passed", "blocked"]
