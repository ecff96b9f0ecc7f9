import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import config
from ci_ml.core.compare import Comparison, compare_measured
from ci_ml.core.gates import Gate
from ci_ml.core.gates import of as gate_of
from ci_ml.core.types import (
    Contrast,
    Direction,
    Gap,
    Margin,
    Measurement,
    MetricKey,
    Outcome,
    Require,
    Severity,
    Status,
)
from ci_ml.core.verdict import EXIT_CODES, HARM, decide, impact


def comparison(
    status: Status,
    require: Require = Require.NO_REGRESSION,
    severity: Severity = Severity.BLOCK,
    *,
    name: str = "accuracy",
    base: float = 0.9,
    head: float = 0.8,
) -> Comparison:
    key = MetricKey(path="m.json", key=name)
    gate = Gate(metric=key, direction=Direction.HIGHER, margin=Margin(value=0.01), require=require, severity=severity)
    measured = Measurement(value=head, source="a test")
    return Comparison(
        gate=gate,
        contrast=None if status is Status.MISSING else Contrast(base=base, head=head),
        base=Gap(reason="gone") if status is Status.MISSING else Measurement(value=base, source="a test"),
        head=measured,
        status=status,
        reason=f"{name} is {status.value}.",
    )


comparisons = st.builds(
    comparison, st.sampled_from(Status), st.sampled_from(Require), st.sampled_from(Severity), base=st.floats(-1, 1)
)
P, W, U, F = Outcome.PASS, Outcome.WARN, Outcome.UNDECIDED, Outcome.FAIL


class TestOneGate:
    @pytest.mark.parametrize(
        ("require", "outcomes"),
        [
            # the contract's table: regressed, missing, inconclusive, held, unchanged, improved
            (Require.NO_REGRESSION, (F, U, W, P, P, P)),
            (Require.NON_INFERIOR, (F, U, U, P, P, P)),
            (Require.IMPROVEMENT, (F, U, U, F, F, P)),
            (Require.REPORT, (P, P, P, P, P, P)),
        ],
    )
    def test_what_each_requirement_blocks_on(self, require: Require, outcomes: Sequence[Outcome]) -> None:
        statuses = (
            Status.REGRESSED,
            Status.MISSING,
            Status.INCONCLUSIVE,
            Status.HELD,
            Status.UNCHANGED,
            Status.IMPROVED,
        )
        for status, outcome in zip(statuses, outcomes, strict=True):
            assert impact(comparison(status, require)) is outcome
            assert decide([comparison(status, require)]).outcome is outcome

    @given(item=comparisons)
    def test_severity_warn_never_does_more_than_warn(self, item: Comparison) -> None:
        if item.gate.severity is Severity.WARN:
            assert impact(item) in (P, W)

    @pytest.mark.parametrize("status", Status)
    def test_every_status_has_its_place_among_the_harmful(self, status: Status) -> None:
        assert HARM.count(status) == 1


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {P: 0, W: 0, U: 11, F: 10} == EXIT_CODES


class TestTheWorstDecides:
    @given(items=st.lists(comparisons, min_size=1), added=comparisons)
    def test_adding_a_comparison_never_improves_the_verdict(self, items: list[Comparison], added: Comparison) -> None:
        if all(item.status is Status.NEW for item in items):
            return  # "everything is new" ends with the first metric that is not
        assert decide([*items, added]).outcome.rank >= decide(items).outcome.rank

    @given(items=st.lists(comparisons, min_size=1), data=st.data())
    def test_the_order_of_gates_does_not_matter(self, items: list[Comparison], data: st.DataObject) -> None:
        shuffled = data.draw(st.permutations(items))
        assert decide(shuffled).outcome is decide(items).outcome

    @given(items=st.lists(comparisons, min_size=1), warnings=st.lists(st.sampled_from(["stale", "broken"])))
    def test_it_is_the_worst_impact_unless_everything_is_new(
        self, items: list[Comparison], warnings: list[str]
    ) -> None:
        worst = max((impact(item) for item in items), key=lambda outcome: outcome.rank)
        if all(item.status is Status.NEW for item in items) or (warnings and worst is P):
            worst = W
        assert decide(items, warnings).outcome is worst

    @given(items=st.lists(comparisons), warnings=st.lists(st.sampled_from(["stale", "broken"])))
    def test_no_reason_and_no_warning_is_lost(self, items: list[Comparison], warnings: list[str]) -> None:
        verdict = decide(items, warnings)
        assert set(warnings) <= set(verdict.reasons)
        if verdict.outcome is not P:
            assert verdict.sentence
            for item in items:
                if impact(item) is not P:
                    stem = item.reason.removesuffix(".")
                    assert any(reason.startswith(stem) for reason in verdict.reasons)


class TestSpecialCases:
    def test_no_gates_are_undecided_and_never_a_pass(self) -> None:
        verdict = decide([], ["dvc.lock is stale."])
        assert verdict.outcome is U
        assert verdict.sentence == "No gates: nothing was judged."
        assert verdict.reasons == ("No gates: nothing was judged.", "dvc.lock is stale.")

    @pytest.mark.parametrize(
        ("names", "sentence"),
        [
            (["a"], "The one metric under a gate is new: there is nothing to compare with yet."),
            (["a", "b"], "All 2 metrics under gates are new: there is nothing to compare with yet."),
        ],
    )
    @pytest.mark.parametrize("require", Require)
    def test_everything_new_is_a_warning_that_says_so(self, names: list[str], sentence: str, require: Require) -> None:
        verdict = decide([comparison(Status.NEW, require, name=name) for name in names])
        assert verdict.outcome is W
        assert verdict.sentence == sentence
        assert verdict.reasons == tuple(f"{name} is new." for name in names)

    def test_something_new_among_others_warns_by_its_name(self) -> None:
        verdict = decide([comparison(Status.HELD), comparison(Status.NEW, name="recall")])
        assert verdict.outcome is W
        assert verdict.sentence == "recall is new."

    def test_a_warning_from_outside_the_gates_forbids_a_silent_pass(self) -> None:
        verdict = decide([comparison(Status.IMPROVED)], ["dvc.lock is stale: train."])
        assert (verdict.outcome, verdict.sentence) == (W, "dvc.lock is stale: train.")
        assert verdict.reasons == ("dvc.lock is stale: train.",)


class TestDoubts:
    """Numbers that are not of this change can condemn it, and never let it pass."""

    @given(items=st.lists(comparisons), doubts=st.lists(st.sampled_from(["stale", "older"]), min_size=1))
    def test_forbid_any_pass_and_hide_no_failure(self, items: list[Comparison], doubts: list[str]) -> None:
        without = decide(items)
        verdict = decide(items, (), doubts)
        assert verdict.outcome.rank == max(without.outcome.rank, U.rank)
        assert set(verdict.reasons) == {*doubts, *without.reasons}
        assert verdict.sentence == (doubts[0] if without.outcome in (P, W) else without.sentence)


class TestTheSentence:
    def test_is_about_the_gate_that_decided(self) -> None:
        items = [
            comparison(Status.IMPROVED, name="f1"),
            comparison(Status.MISSING, name="recall"),
            comparison(Status.REGRESSED, severity=Severity.WARN, name="seconds"),
            comparison(Status.REGRESSED, name="accuracy"),
        ]
        verdict = decide(items)
        assert verdict.sentence == "accuracy is regressed."
        assert verdict.reasons == ("accuracy is regressed.", "recall is missing.", "seconds is regressed.")

    def test_is_about_the_largest_loss_of_several(self) -> None:
        items = [
            comparison(Status.REGRESSED, name="small", base=0.9, head=0.8),
            comparison(Status.REGRESSED, name="large", base=0.5, head=0.1),
        ]
        assert decide(items).sentence == "large is regressed."

    def test_says_that_an_improvement_was_asked_for(self) -> None:
        verdict = decide([comparison(Status.HELD, Require.IMPROVEMENT)])
        assert verdict.sentence == "accuracy is held; the gate asks for an improvement."

    @pytest.mark.parametrize(
        ("items", "sentence"),
        [
            ([comparison(Status.HELD)], "accuracy is held."),
            ([comparison(Status.HELD), comparison(Status.UNCHANGED, name="f1")], "All 2 gated metrics held."),
            (
                [
                    comparison(Status.HELD),
                    comparison(Status.IMPROVED, name="f1", base=0.5, head=0.6),
                    comparison(Status.IMPROVED, name="recall", base=0.5, head=0.9),
                ],
                "All 3 gated metrics held, 2 improved: recall is improved.",
            ),
        ],
    )
    def test_of_a_pass_names_the_best(self, items: list[Comparison], sentence: str) -> None:
        verdict = decide(items)
        assert (verdict.outcome, verdict.sentence, verdict.reasons) == (P, sentence, ())


class TestTheWorkedExampleOfTheDocumentation:
    """The numbers of docs/gates.md, judged by the gates of the example that they are of."""

    ROOT = Path(__file__).parents[2]
    ROW = re.compile(r"^([✗!✓])  test\.(\w+) .*?([^\s─]+)(\spp)? \[(\S+), (\S+)\]", re.MULTILINE)

    def _judged(self) -> dict[str, tuple[str, Comparison]]:
        loaded = config.load((self.ROOT / "examples/breast-cancer/ci-ml.yaml").read_bytes(), "ci-ml.yaml").config
        text = (self.ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
        found = {}
        for mark, name, *change in self.ROW.findall(text.partition("## A worked example")[2]):
            unit = 0.01 if change[1] else 1.0
            delta, low, high = (float(change[i].replace("\N{MINUS SIGN}", "-")) * unit for i in (0, 2, 3))
            (gate,) = (gate for gate in loaded.gates if gate.metric == f"test.{name}")
            measured = Contrast(base=0.9, head=0.9 + delta, interval=(low, high), confidence=0.95, n=284)
            found[name] = (mark, compare_measured(gate_of(gate, gate.key), measured))
        return found

    def test_comes_out_as_it_says(self) -> None:
        judged = self._judged()
        assert {name: item.status for name, (_, item) in judged.items()} == {
            "recall": Status.REGRESSED,
            "accuracy": Status.INCONCLUSIVE,
            "roc_auc": Status.HELD,
            "log_loss": Status.HELD,
            "precision": Status.IMPROVED,
        }
        assert {name: {"✗": F, "!": W, "✓": P}[mark] for name, (mark, _) in judged.items()} == {
            name: impact(item) for name, (_, item) in judged.items()
        }
        assert EXIT_CODES[decide([item for _, item in judged.values()]).outcome] == 10
