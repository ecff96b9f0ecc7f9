"""Comparisons with intervals: the contract's table, whatever was measured; Holm over slices; what is too small."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ci_ml.core.compare import Comparison, compare_measured, compare_slices, judge
from ci_ml.core.gates import Gate
from ci_ml.core.types import Contrast, Direction, Gap, Margin, Outcome, Require, Severity, Slice, Status, TableKey
from ci_ml.core.verdict import decide, impact
from ci_ml.stats import holm
from ci_ml.stats.points import RELATIVE_TOLERANCE

H, L = Direction.HIGHER, Direction.LOWER


def gate(margin: float = 0.01, direction: Direction = H, *, relative: bool = False, **rest: Any) -> Gate:
    limit = Margin(value=margin, relative=relative)
    return Gate(metric=TableKey(table="test", metric="recall"), direction=direction, margin=limit, **rest)


def contrast(base: float, head: float, low: float, high: float, **rest: Any) -> Contrast:
    """What was measured: the interval is that of head - base."""
    return Contrast(base=base, head=head, interval=(low, high), **{"confidence": 0.95, "n": 1000, **rest})


def around(delta: float, half: float, base: float = 0.9, **rest: Any) -> Contrast:
    return contrast(base, base + delta, delta - half, delta + half, **rest)


def mirrored(found: Contrast) -> Contrast:
    """The same with base and head exchanged: what was better is worse."""
    assert found.base is not None
    assert found.interval is not None
    low, high = found.interval
    return dataclasses.replace(found, base=found.head, head=found.base, interval=(-high, -low))


def opposite(asked: Gate) -> Gate:
    return dataclasses.replace(asked, direction=L if asked.direction is H else H)


# Numbers on a grid of powers of two, so that what the table says is exact, and ties are frequent.
grid = st.integers(-8, 8).map(lambda steps: steps / 8)
positive = st.integers(0, 8).map(lambda steps: steps / 8)
bounds = st.none() | grid


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    floor, ceiling = draw(bounds), draw(bounds)
    if floor is not None and ceiling is not None and floor > ceiling:
        floor, ceiling = ceiling, floor
    relative = draw(st.booleans())
    return gate(draw(positive), draw(st.sampled_from([H, L])), relative=relative, floor=floor, ceiling=ceiling)


@st.composite
def contrasts(draw: st.DrawFn) -> Contrast:
    """Anything that can be measured: sides that are identical, or an interval around their difference."""
    head, reach = draw(grid), draw(positive)
    own = None if draw(st.booleans()) else (head - reach, head + draw(positive))
    if draw(st.integers(0, 4)) == 0:
        return contrast(head, head, 0.0, 0.0, head_interval=own, identical=True, p_value=1.0)
    base = draw(grid)
    low, high = head - base - draw(positive), head - base + draw(positive)
    assume(low < high)
    return contrast(base, head, low, high, head_interval=own, p_value=draw(st.floats(0, 1)))


def by_the_contract(asked: Gate, found: Contrast) -> Status:
    """The table of the contract, read literally: the first row that holds."""
    assert found.base is not None
    assert found.interval is not None
    sign = 1 if asked.direction is H else -1
    d = sign * (found.head - found.base)
    lower, upper = sorted(sign * end for end in found.interval)
    m = asked.margin.value * abs(found.base) if asked.margin.relative else asked.margin.value
    low, high = found.head_interval or (found.head, found.head)
    violated = (asked.floor is not None and high < asked.floor) or (asked.ceiling is not None and low > asked.ceiling)
    cleared = (asked.floor is None or low >= asked.floor) and (asked.ceiling is None or high <= asked.ceiling)
    rows = [
        ((upper < 0 and d < -m) or violated, Status.REGRESSED),
        (found.identical, Status.UNCHANGED),
        (lower > 0 and cleared, Status.IMPROVED),
        (lower >= -m and cleared, Status.HELD),
        (True, Status.INCONCLUSIVE),
    ]
    return next(status for holds, status in rows if holds)


class TestTheTableOfTheContract:
    @given(asked=gates(), found=contrasts())
    def test_is_followed_row_by_row(self, asked: Gate, found: Contrast) -> None:
        assert compare_measured(asked, found).status is by_the_contract(asked, found)

    @given(asked=gates(), found=contrasts())
    def test_is_followed_the_other_way_round(self, asked: Gate, found: Contrast) -> None:
        swapped = mirrored(found)
        assert compare_measured(opposite(asked), swapped).status is by_the_contract(opposite(asked), swapped)

    @pytest.mark.parametrize(
        ("delta", "half", "expected"),
        [
            (-0.03, 0.005, Status.REGRESSED),
            (-0.03, 0.035, Status.INCONCLUSIVE),  # a loss beyond the margin that may be chance
            (-0.008, 0.001, Status.HELD),  # a loss that is real and allowed
            (-0.008, 0.005, Status.INCONCLUSIVE),  # a loss that is real, and may be larger than allowed
            (0.0, 0.009, Status.HELD),
            (0.0, 0.011, Status.INCONCLUSIVE),
            (0.008, 0.02, Status.INCONCLUSIVE),
            (0.008, 0.01, Status.HELD),
            (0.008, 0.007, Status.IMPROVED),
        ],
    )
    @pytest.mark.parametrize("direction", Direction)
    def test_in_the_cases_that_people_meet(
        self, delta: float, half: float, expected: Status, direction: Direction
    ) -> None:
        sign = 1 if direction is H else -1
        assert compare_measured(gate(direction=direction), around(sign * delta, half)).status is expected

    @pytest.mark.parametrize("direction", Direction)
    def test_a_relative_margin_is_a_share_of_the_base(self, direction: Direction) -> None:
        sign = 1 if direction is H else -1
        held, lost = (around(sign * delta, 0.5, base=-200.0) for delta in (-3.4, -4.6))
        asked = gate(0.02, direction, relative=True)
        assert compare_measured(asked, held).status is Status.HELD
        assert compare_measured(asked, lost).status is Status.REGRESSED


class TestTheMargin:
    """0.90 - 0.89 is 0.010000000000000009, and a loss of exactly the margin is acceptable."""

    @given(places=st.integers(0, 6), data=st.data(), direction=st.sampled_from(Direction))
    def test_a_loss_of_exactly_the_margin_is_held(self, places: int, data: st.DataObject, direction: Direction) -> None:
        unit = 10.0**-places
        base = data.draw(st.integers(-(10**6), 10**6)) * unit
        margin = data.draw(st.integers(1, 10**6)) * unit
        sign = 1 if direction is H else -1
        head = base - sign * margin
        # The whole interval is just the loss and better: its bad end is exactly at the margin.
        low, high = sorted((-sign * margin, -sign * margin / 2))
        assert judge(gate(margin, direction), contrast(base, head, low, high)) is Status.HELD
        # Its bad end is beyond: the estimate at the margin is still no regression.
        low, high = sorted((-sign * margin * 1.5, -sign * margin / 2))
        assert judge(gate(margin, direction), contrast(base, head, low, high)) is Status.INCONCLUSIVE

    @given(base=st.floats(0.1, 0.9), margin=st.floats(0.001, 0.05), excess=st.floats(1e-9, 0.05))
    def test_any_larger_loss_that_is_real_has_regressed(self, base: float, margin: float, excess: float) -> None:
        found = around(-margin - excess, margin / 2, base=base)
        assert judge(gate(margin), found) is Status.REGRESSED

    @given(asked=gates(), found=contrasts(), wider=positive)
    def test_a_wider_margin_never_makes_it_worse(self, asked: Gate, found: Contrast, wider: float) -> None:
        good = (Status.UNCHANGED, Status.IMPROVED, Status.HELD)
        more = dataclasses.replace(asked, margin=dataclasses.replace(asked.margin, value=asked.margin.value + wider))
        before, after = judge(asked, found), judge(more, found)
        assert after is not Status.REGRESSED or before is Status.REGRESSED
        assert before not in good or after in good


class TestBounds:
    """The interval of the head decides, and the bound itself is within."""

    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            ((0.81, 0.85), Status.HELD),
            ((0.80, 0.85), Status.HELD),
            ((0.79, 0.85), Status.INCONCLUSIVE),
            ((0.70, 0.80), Status.INCONCLUSIVE),
            ((0.70, 0.79), Status.REGRESSED),
            ((0.1 + 0.2 + 0.5, 0.85), Status.HELD),
        ],
    )
    def test_a_floor(self, own: tuple[float, float], expected: Status) -> None:
        found = around(0.0, 0.005, base=0.82, head_interval=own)
        assert compare_measured(gate(floor=0.8), found).status is expected
        upside_down = around(0.0, 0.005, base=-0.82, head_interval=(-own[1], -own[0]))
        assert compare_measured(gate(ceiling=-0.8), upside_down).status is expected

    def test_stop_an_improvement_that_does_not_reach_them(self) -> None:
        better = around(0.05, 0.01, head_interval=(0.7, 0.79))
        assert compare_measured(gate(floor=0.8), better).status is Status.REGRESSED
        nearly = around(0.05, 0.01, head_interval=(0.7, 0.85))
        assert compare_measured(gate(floor=0.8), nearly).status is Status.INCONCLUSIVE

    @pytest.mark.parametrize(
        ("own", "expected"),
        [((0.81, 0.9), Status.NEW), ((0.7, 0.9), Status.NEW), ((0.7, 0.79), Status.REGRESSED)],
    )
    def test_judge_a_head_that_has_no_base(self, own: tuple[float, float], expected: Status) -> None:
        found = Contrast(base=None, head=sum(own) / 2, head_interval=own, confidence=0.95, n=1000)
        assert compare_measured(gate(floor=0.8), found).status is expected

    @given(found=contrasts(), bound=grid, direction=st.sampled_from(Direction))
    def test_never_make_it_better(self, found: Contrast, bound: float, direction: Direction) -> None:
        free = judge(gate(0.1, direction), found)
        for limits in ({"floor": bound}, {"ceiling": bound}):
            assert judge(gate(0.1, direction, **limits), found) in (free, Status.INCONCLUSIVE, Status.REGRESSED)


class TestNaN:
    @given(
        asked=gates(), found=contrasts(), where=st.sampled_from(["base", "head", "low", "high", "own low", "own high"])
    )
    def test_never_passes(self, asked: Gate, found: Contrast, where: str) -> None:
        """Contrasts of `stats` cannot hold NaN; if one ever did, it must not look fine."""
        assert found.interval is not None
        (low, high), (own_low, own_high) = found.interval, found.head_interval or (0.0, 0.0)
        if where in ("base", "head"):
            broken = dataclasses.replace(found, **{where: math.nan})
        elif where.startswith("own"):
            ends = (math.nan, own_high) if where == "own low" else (own_low, math.nan)
            broken = dataclasses.replace(found, head_interval=ends)
        else:
            broken = dataclasses.replace(found, interval=(math.nan, high) if where == "low" else (low, math.nan))
        assert judge(asked, broken) is Status.MISSING

    def test_in_a_correction_takes_no_claim_away(self) -> None:
        found = around(-0.05, 0.01, p_value=1e-9)
        assert judge(gate(), found, math.nan) is Status.REGRESSED

    def test_sides_that_differ_are_not_identical_whatever_is_said(self) -> None:
        assert judge(gate(), around(-0.005, 0.02, identical=True)) is Status.INCONCLUSIVE


class TestAShareOfANoisyBase:
    """What such a margin allows is less than it says, and never more."""

    def test_takes_away_from_what_is_held(self) -> None:
        found = around(-0.004, 0.004)
        asked = gate(0.01, relative=True)
        assert judge(asked, dataclasses.replace(found, allowed=0.0085)) is Status.HELD
        assert judge(asked, dataclasses.replace(found, allowed=0.0075)) is Status.INCONCLUSIVE
        assert judge(asked, dataclasses.replace(found, allowed=-1.0)) is Status.INCONCLUSIVE

    @given(asked=gates(), found=contrasts(), allowed=st.floats(-2, 2))
    def test_never_makes_it_better(self, asked: Gate, found: Contrast, allowed: float) -> None:
        plain = judge(asked, found)
        assert judge(asked, dataclasses.replace(found, allowed=allowed)) in (
            {plain, Status.INCONCLUSIVE} if plain is Status.HELD else {plain}
        )

    def test_that_is_nan_never_passes(self) -> None:
        found = dataclasses.replace(around(0.0, 0.001), allowed=math.nan)
        assert judge(gate(0.01, relative=True), found) is Status.MISSING


class TestSymmetry:
    @given(asked=gates(), found=contrasts())
    def test_exchanging_the_sides_and_the_direction_changes_nothing(self, asked: Gate, found: Contrast) -> None:
        # A share of the base and the bounds of the head belong to one side.
        free = gate(asked.margin.value, asked.direction)
        assert judge(free, found) is judge(opposite(free), mirrored(found))

    @given(found=contrasts(), margin=positive, direction=st.sampled_from(Direction))
    def test_what_regressed_improves_when_the_sides_are_exchanged(
        self, found: Contrast, margin: float, direction: Direction
    ) -> None:
        if judge(gate(margin, direction), found) is Status.REGRESSED:
            assert judge(gate(margin, direction), mirrored(found)) is Status.IMPROVED


def on(name: str, asked: Gate | None = None, min_n: int = 100) -> Gate:
    where = Slice(parts=(("country", name),))
    return dataclasses.replace(asked or gate(), slice=where, min_n=min_n)


def judged(slices: Sequence[tuple[Gate, Contrast | Gap]]) -> dict[str, Comparison]:
    return {str(item.gate.slice): item for item in compare_slices(slices)}


WORSE = around(-0.05, 0.03, p_value=0.02)  # a claim, unless it is one of several looks
SAME = around(0.0, 0.005, p_value=0.9)


class TestSlices:
    def test_one_alone_is_not_corrected(self) -> None:
        (alone,) = compare_slices([(on("DE"), WORSE)])
        assert (alone.status, alone.corrected, alone.family) == (Status.REGRESSED, None, 1)

    def test_a_claim_among_several_looks_may_be_chance(self) -> None:
        found = judged([(on("DE"), WORSE), (on("FR"), SAME), (on("IT"), SAME)])
        assert [item.status for item in found.values()] == [Status.INCONCLUSIVE, Status.HELD, Status.HELD]
        german = found["country = DE"]
        assert (german.corrected, german.family) == (pytest.approx(0.06), 3)
        assert "may be chance among 3 slices (p 0.06 after Holm's correction)" in german.reason

    def test_a_strong_claim_stays(self) -> None:
        found = judged([(on("DE"), around(-0.05, 0.01, p_value=1e-6)), (on("FR"), SAME), (on("IT"), SAME)])
        assert found["country = DE"].status is Status.REGRESSED

    def test_small_slices_are_not_in_the_family(self) -> None:
        small = around(-0.5, 0.1, n=99, p_value=1e-9)
        found = judged([(on("DE"), WORSE), (on("LU"), small), (on("MT"), small)])
        assert (found["country = DE"].status, found["country = DE"].family) == (Status.REGRESSED, 1)
        assert found["country = DE"].corrected is None

    @pytest.mark.parametrize("require", Require)
    def test_a_small_slice_never_blocks_and_is_shown(self, require: Require) -> None:
        small = around(-0.5, 0.1, n=99, p_value=1e-9, head_interval=(0.1, 0.2))
        asked = on("LU", gate(require=require, floor=0.8))
        (item,) = compare_slices([(asked, small)])
        assert (item.status, item.too_small, impact(item)) == (Status.INCONCLUSIVE, True, Outcome.PASS)
        assert item.reason == (
            "test.recall on country = LU has 99 examples, fewer than the 100 that its gate asks for: shown, not judged."
        )
        assert item.contrast is small

    def test_a_slice_of_exactly_min_n_is_judged(self) -> None:
        (item,) = compare_slices([(on("LU"), around(-0.5, 0.1, n=100, p_value=1e-9))])
        assert (item.status, item.too_small) == (Status.REGRESSED, False)

    @pytest.mark.parametrize(
        ("n", "status", "outcome", "reason"),
        [
            (
                0,
                Status.INCONCLUSIVE,
                Outcome.PASS,
                "has 0 examples to measure it on (one class only), fewer than the 100",
            ),
            (
                1,
                Status.INCONCLUSIVE,
                Outcome.PASS,
                "has 1 example to measure it on (one class only), fewer than the 100",
            ),
            (100, Status.MISSING, Outcome.UNDECIDED, "cannot be judged: one class only."),
        ],
    )
    def test_that_cannot_be_measured_is_missing_unless_it_is_small(
        self, n: int, status: Status, outcome: Outcome, reason: str
    ) -> None:
        found = judged([(on("DE"), SAME), (on("MT"), Gap(reason="one class only.", n=n))])
        item = found["country = MT"]
        assert (item.status, impact(item), item.n) == (status, outcome, n)
        assert reason in item.reason
        assert found["country = DE"].family == 1

    @given(data=st.data(), found=st.lists(contrasts(), min_size=1, max_size=6), margin=positive)
    def test_a_correction_only_takes_claims_away(
        self, data: st.DataObject, found: list[Contrast], margin: float
    ) -> None:
        sized = [dataclasses.replace(item, n=data.draw(st.sampled_from([50, 500]))) for item in found]
        slices: list[tuple[Gate, Contrast | Gap]] = [
            (on(str(index), gate(margin)), item) for index, item in enumerate(sized)
        ]
        large = [item for item in sized if item.n == 500]
        expected = iter(holm.adjusted([item.p_value or 0.0 for item in large]))
        for item, (asked, alone) in zip(compare_slices(slices), slices, strict=True):
            assert isinstance(alone, Contrast)
            assert item.family == len(large)
            if item.too_small:
                assert (item.corrected, impact(item)) == (None, Outcome.PASS)
                continue
            corrected = next(expected)
            assert item.corrected == (corrected if len(large) > 1 else None)
            plain = judge(asked, alone)
            if plain is not Status.REGRESSED:
                assert item.status is plain
            elif corrected <= 0.05 + RELATIVE_TOLERANCE or len(large) == 1:
                assert item.status is Status.REGRESSED
            else:
                assert item.status is Status.INCONCLUSIVE

    def test_a_floor_of_slices_needs_no_correction(self) -> None:
        below = around(-0.05, 0.2, p_value=0.6, head_interval=(0.7, 0.79))
        found = judged([(on("DE", gate(floor=0.8)), below), (on("FR"), SAME)])
        assert found["country = DE"].status is Status.REGRESSED


class TestTheVerdict:
    """What slices come to together."""

    small = around(-0.5, 0.1, n=5, p_value=1e-9)

    def test_small_slices_are_no_reason(self) -> None:
        whole = compare_measured(gate(), SAME)
        verdict = decide([whole, *compare_slices([(on("LU"), self.small), (on("DE"), SAME)])])
        assert (verdict.outcome, verdict.sentence, verdict.reasons) == (
            Outcome.PASS, "All 2 gated metrics held.", (),
        )  # fmt: skip

    @pytest.mark.parametrize("require", Require)
    def test_a_gate_that_is_new_is_a_warning_also_with_small_slices(self, require: Require) -> None:
        asked = gate(require=require)
        new = Contrast(base=None, head=0.9, head_interval=(0.8, 0.95), confidence=0.95, n=1000)
        little = dataclasses.replace(new, n=5)
        verdict = decide([compare_measured(asked, new), *compare_slices([(on("LU", asked), little)])])
        assert verdict.outcome is Outcome.WARN
        assert verdict.sentence == "The one metric under a gate is new: there is nothing to compare with yet."

    def test_the_worst_slice_is_the_sentence(self) -> None:
        much, little = around(-0.2, 0.01, p_value=1e-9), around(-0.03, 0.005, p_value=1e-9)
        whole = compare_measured(gate(severity=Severity.WARN), SAME)
        slices = compare_slices([(on("FR"), little), (on("DE"), much), (on("IT"), SAME)])
        verdict = decide([whole, *slices])
        assert verdict.outcome is Outcome.FAIL
        assert verdict.sentence.startswith("test.recall on country = DE fell by 0.200")
        assert [reason.partition(" fell")[0] for reason in verdict.reasons] == [
            "test.recall on country = DE", "test.recall on country = FR",
        ]  # fmt: skip
