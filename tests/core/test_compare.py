import math
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.compare import compare
from ci_ml.core.gates import Gate
from ci_ml.core.types import (
    Direction,
    Gap,
    Margin,
    Measurement,
    MetricKey,
    Outcome,
    Reading,
    Require,
    Severity,
    Status,
)
from ci_ml.core.verdict import decide, impact
from ci_ml.stats.points import RELATIVE_TOLERANCE

METRIC = MetricKey(path="eval/metrics.json", key="accuracy")
ABSENT = Gap(reason="eval/metrics.json has no key accuracy", absent=True)
BROKEN = Gap(reason="eval/metrics.json:accuracy is NaN")
JUDGED = (Status.REGRESSED, Status.UNCHANGED, Status.IMPROVED, Status.HELD)


def gate(margin: float = 0.0, direction: str = "higher", *, relative: bool = False, **rest: Any) -> Gate:
    limit = Margin(value=margin, relative=relative)
    return Gate(metric=METRIC, direction=Direction(direction), margin=limit, **rest)


def reading(value: float | str) -> Measurement:
    return Measurement(value=float(value), source="a test")


def status(asked: Gate, base: float | str, head: float | str) -> Status:
    return compare(asked, reading(base), reading(head)).status


finite = st.floats(allow_nan=False, allow_infinity=False)
margins = st.floats(0, 1e300)
directions = st.sampled_from(["higher", "lower"])
gaps = st.sampled_from([ABSENT, BROKEN])


class TestTheMargin:
    @pytest.mark.parametrize(
        ("base", "head", "margin", "expected"),
        [
            ("0.90", "0.89", 0.01, Status.HELD),
            ("0.90", "0.889999", 0.01, Status.REGRESSED),
            ("0.90", "0.8901", 0.01, Status.HELD),
            ("1000000.3", "1000000.2", 0.1, Status.HELD),
            ("0.90", "0.90", 0.0, Status.UNCHANGED),
            ("0.90", "0.8999999", 0.0, Status.REGRESSED),
            ("0.90", "0.9000001", 0.0, Status.IMPROVED),
            ("0", "-0.0", 0.0, Status.UNCHANGED),
        ],
    )
    def test_is_the_largest_loss_that_is_acceptable(
        self, base: str, head: str, margin: float, expected: Status
    ) -> None:
        assert status(gate(margin), base, head) is expected
        assert status(gate(margin, "lower"), f"-{base}", head[1:] if head[0] == "-" else f"-{head}") is expected

    @pytest.mark.parametrize(
        ("base", "head", "percent", "expected"),
        [
            (100.0, 98.0, 2, Status.HELD),
            (100.0, 97.99, 2, Status.REGRESSED),
            (0.3, 0.294, 2, Status.HELD),
            (-100.0, -102.0, 2, Status.HELD),
            (-100.0, -102.1, 2, Status.REGRESSED),
            (0.0, -0.001, 50, Status.REGRESSED),
        ],
    )
    def test_may_be_a_share_of_the_base(self, base: float, head: float, percent: float, expected: Status) -> None:
        assert status(gate(percent / 100, relative=True), base, head) is expected

    @given(places=st.integers(0, 6), data=st.data(), direction=directions)
    def test_a_loss_of_exactly_the_margin_never_regresses(
        self, places: int, data: st.DataObject, direction: str
    ) -> None:
        unit = Decimal(1).scaleb(-places)
        base = data.draw(st.integers(-(10**9), 10**9)) * unit
        margin = data.draw(st.integers(0, 10**9)) * unit
        head = base - margin if direction == "higher" else base + margin
        assert status(gate(float(margin), direction), str(base), str(head)) in (Status.HELD, Status.UNCHANGED)

    @given(places=st.integers(0, 6), data=st.data(), direction=directions)
    def test_a_loss_of_one_last_digit_more_always_regresses(
        self, places: int, data: st.DataObject, direction: str
    ) -> None:
        unit = Decimal(1).scaleb(-places)
        base = data.draw(st.integers(-(10**5), 10**5)) * unit
        margin = data.draw(st.integers(0, 10**5)) * unit
        loss = margin + unit
        head = base - loss if direction == "higher" else base + loss
        assert status(gate(float(margin), direction), str(base), str(head)) is Status.REGRESSED

    @given(base=finite, head=finite, margin=margins, direction=directions)
    def test_regressed_is_exactly_a_larger_loss_up_to_rounding(
        self, base: float, head: float, margin: float, direction: str
    ) -> None:
        worse = Decimal(base) - Decimal(head) if direction == "higher" else Decimal(head) - Decimal(base)
        scale = max(abs(base), abs(head), margin)
        tolerance = Decimal(RELATIVE_TOLERANCE) * Decimal(scale)
        found = status(gate(margin, direction), base, head)
        excess = worse - Decimal(margin)
        if excess > 2 * tolerance:
            assert found is Status.REGRESSED
        elif excess <= 0:
            assert found is not Status.REGRESSED
        expected_better = {True: Status.IMPROVED, False: Status.UNCHANGED}
        if worse <= 0:
            assert found is expected_better[worse < 0]


class TestSymmetry:
    @given(base=finite, head=finite, margin=margins, direction=directions)
    def test_swapping_the_sides_and_the_direction_changes_nothing(
        self, base: float, head: float, margin: float, direction: str
    ) -> None:
        other = "lower" if direction == "higher" else "higher"
        assert status(gate(margin, direction), base, head) is status(gate(margin, other), head, base)

    @given(base=finite, head=finite, margin=margins)
    def test_negating_both_sides_and_the_direction_changes_nothing(
        self, base: float, head: float, margin: float
    ) -> None:
        assert status(gate(margin), base, head) is status(gate(margin, "lower"), -base, -head)

    @given(base=finite, head=finite, smaller=margins, larger=margins, direction=directions)
    def test_a_larger_margin_never_makes_it_worse(
        self, base: float, head: float, smaller: float, larger: float, direction: str
    ) -> None:
        smaller, larger = sorted((smaller, larger))
        if status(gate(larger, direction), base, head) is Status.REGRESSED:
            assert status(gate(smaller, direction), base, head) is Status.REGRESSED


class TestWhatIsNoNumber:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_cannot_be_measured(self, value: float) -> None:
        with pytest.raises(ValueError, match="a measurement is a finite number"):
            Measurement(value=value, source="a test")

    @pytest.mark.parametrize("value", [math.nan, math.inf, -0.1])
    def test_cannot_be_a_margin(self, value: float) -> None:
        with pytest.raises(ValueError, match="a margin is a number of 0 or more"):
            Margin(value=value)

    @given(
        base=finite.map(reading) | gaps,
        head=gaps,
        require=st.sampled_from([Require.NO_REGRESSION, Require.NON_INFERIOR, Require.IMPROVEMENT]),
        bound=st.none() | finite,
    )
    def test_a_head_without_a_number_never_passes(
        self, base: Reading, head: Gap, require: Require, bound: float | None
    ) -> None:
        found = compare(gate(require=require, floor=bound), base, head)
        assert found.status is Status.MISSING
        assert found.contrast is None
        assert impact(found) is Outcome.UNDECIDED
        assert decide([found]).outcome is Outcome.UNDECIDED
        assert impact(compare(gate(require=require, severity=Severity.WARN), base, head)) is Outcome.WARN

    @given(head=finite, require=st.sampled_from([Require.NO_REGRESSION, Require.NON_INFERIOR, Require.IMPROVEMENT]))
    def test_a_base_that_has_it_but_cannot_be_read_is_missing_and_not_new(self, head: float, require: Require) -> None:
        found = compare(gate(require=require), BROKEN, reading(head))
        assert found.status is Status.MISSING
        assert impact(found) is Outcome.UNDECIDED

    def test_a_base_that_never_had_it_makes_it_new(self) -> None:
        found = compare(gate(), ABSENT, reading(0.9))
        assert found.status is Status.NEW
        assert found.contrast is not None
        assert found.contrast.delta is None


class TestBounds:
    @pytest.mark.parametrize(
        ("bounds", "base", "head", "expected"),
        [
            ({"floor": 0.8}, 0.7, 0.79, Status.REGRESSED),
            ({"floor": 0.8}, 0.7, 0.8, Status.IMPROVED),
            ({"floor": 0.3}, 0.3, 0.1 + 0.2, Status.IMPROVED),
            ({"floor": 0.1 + 0.2}, 0.2, 0.3, Status.IMPROVED),
            ({"floor": 0.8}, None, 0.79, Status.REGRESSED),
            ({"floor": 0.8}, None, 0.8, Status.NEW),
            ({"floor": 0.0}, 1.0, -1e-9, Status.REGRESSED),
            ({"ceiling": 0.5}, 0.6, 0.51, Status.REGRESSED),
            ({"ceiling": 0.5}, 0.6, 0.5, Status.REGRESSED),
            ({"ceiling": 0.5, "direction": "lower"}, 0.6, 0.5, Status.IMPROVED),
            ({"ceiling": 0.5}, None, 0.51, Status.REGRESSED),
            ({"ceiling": 0.5}, None, 0.5, Status.NEW),
            ({"floor": 0.8, "ceiling": 0.9}, 0.85, 0.85, Status.UNCHANGED),
        ],
    )
    def test_judge_the_head_even_without_a_base(
        self, bounds: dict[str, Any], base: float | None, head: float, expected: Status
    ) -> None:
        found = compare(gate(**bounds), ABSENT if base is None else reading(base), reading(head))
        assert found.status is expected

    @given(base=finite, head=finite, bound=finite, direction=directions)
    def test_a_head_clearly_outside_its_bounds_always_regresses(
        self, base: float, head: float, bound: float, direction: str
    ) -> None:
        tolerance = 2 * RELATIVE_TOLERANCE * abs(bound)
        if head < bound - tolerance:
            assert status(gate(1e300, direction, floor=bound), base, head) is Status.REGRESSED
        if head > bound + tolerance:
            assert status(gate(1e300, direction, ceiling=bound), base, head) is Status.REGRESSED


class TestTheSentence:
    @pytest.mark.parametrize(
        ("asked", "base", "head", "expected"),
        [
            (
                gate(0.005),
                0.911,
                0.9,
                "eval/metrics.json:accuracy fell from 0.911 to 0.900 (−0.011); the gate allows a loss of 0.005.",
            ),
            (
                gate(0.2, "lower", relative=True),
                212.0,
                305.0,
                (
                    "eval/metrics.json:accuracy rose from 212 to 305 (+93, +44\N{NO-BREAK SPACE}%); "
                    "the gate allows a rise of 20% (42.4)."
                ),
            ),
            (
                gate(),
                0.911,
                0.910,
                "eval/metrics.json:accuracy fell from 0.911 to 0.910 (−0.001); the gate allows no loss.",
            ),
            (
                gate(0.01),
                0.911,
                0.905,
                "eval/metrics.json:accuracy fell from 0.911 to 0.905 (−0.006), within the allowed loss of 0.01.",
            ),
            (gate(), 0.9, 0.95, "eval/metrics.json:accuracy rose from 0.90 to 0.95 (+0.05), which is better."),
            (gate(direction="lower"), 9, 7, "eval/metrics.json:accuracy fell from 9 to 7 (−2), which is better."),
            (gate(), 0.9, 0.9, "eval/metrics.json:accuracy is unchanged at 0.9."),
            (gate(floor=0.8), 0.9, 0.79, "eval/metrics.json:accuracy is 0.79, below its floor of 0.8."),
            (gate(ceiling=100), 90, 1234.0, "eval/metrics.json:accuracy is 1,234, above its ceiling of 100."),
        ],
    )
    def test_names_the_metric_both_values_and_what_was_allowed(
        self, asked: Gate, base: float, head: float, expected: str
    ) -> None:
        assert compare(asked, reading(base), reading(head)).reason == expected

    @pytest.mark.parametrize(
        ("base", "head", "expected"),
        [
            (
                ABSENT,
                reading(0.9),
                "eval/metrics.json:accuracy is new: 0.9; the base has nothing to compare it with.",
            ),
            (
                reading(0.9),
                ABSENT,
                (
                    "eval/metrics.json:accuracy cannot be read in the head: eval/metrics.json has no key accuracy. "
                    "The base has it, so it disappeared."
                ),
            ),
            (
                reading(0.9),
                BROKEN,
                "eval/metrics.json:accuracy cannot be read in the head: eval/metrics.json:accuracy is NaN.",
            ),
            (
                BROKEN,
                reading(0.9),
                "eval/metrics.json:accuracy cannot be read in the base: eval/metrics.json:accuracy is NaN.",
            ),
            (
                ABSENT,
                ABSENT,
                (
                    "eval/metrics.json:accuracy exists neither in the base nor in the head: "
                    "eval/metrics.json has no key accuracy."
                ),
            ),
        ],
    )
    def test_says_on_which_side_and_why_there_is_no_number(self, base: Reading, head: Reading, expected: str) -> None:
        assert compare(gate(), base, head).reason == expected

    def test_says_that_a_glob_matches_nothing(self) -> None:
        asked = Gate(
            metric=MetricKey(path="eval/*.json", key="acc*"), direction=Direction.HIGHER, margin=Margin(value=0)
        )
        assert compare(asked, ABSENT, ABSENT).reason == "eval/*.json:acc* matches no metric of the base or of the head."

    @given(base=finite, head=finite, margin=margins, relative=st.booleans(), direction=directions)
    def test_can_be_said_of_any_two_numbers(
        self, base: float, head: float, margin: float, relative: bool, direction: str
    ) -> None:
        found = compare(gate(margin, direction, relative=relative), reading(base), reading(head))
        assert found.status in JUDGED
        assert found.reason.endswith(".")
        assert "nan" not in found.reason.lower()

    def test_a_difference_beyond_floating_point(self) -> None:
        largest = sys.float_info.max
        found = compare(gate(), reading(largest), reading(-largest))
        assert found.status is Status.REGRESSED
        assert "(−∞)" in found.reason
