import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from ci_ml.stats import gaps
from ci_ml.stats.estimate import Difference, Estimate, NotEstimable, TooFew, Undefined
from ci_ml.stats.gaps import Group, change, ratio, widest, widest_of
from ci_ml.stats.means import Pairs, paired_t
from ci_ml.stats.proportion import wilson
from ci_ml.stats.tango import PairedTable, tango
from tests.stats.simulated import World, check

tables = st.integers(5, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def group(successes: int, n: int) -> Group:
    return lambda confidence: wilson(successes, n, confidence)


@given(tables, tables)
def test_a_difference_of_wilson_intervals_is_newcombes(one: tuple[int, int], two: tuple[int, int]) -> None:
    found = gaps.difference(wilson(*one), wilson(*two))
    assert (found.low, found.high) == pytest.approx(
        confint_proportions_2indep(*one, *two, method="newcomb", compare="diff"), abs=1e-9
    )
    mirrored = gaps.difference(wilson(*two), wilson(*one))
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))


@given(
    st.tuples(st.floats(1, 100), st.floats(0.01, 0.2)),
    st.tuples(st.floats(1, 100), st.floats(0.01, 0.2)),
)
def test_a_ratio_of_symmetric_intervals_is_fiellers(one: tuple[float, float], two: tuple[float, float]) -> None:
    def estimate(value: float, share: float) -> Estimate:
        reach = value * share * 1.959963984540054
        return Estimate(value=value, low=value - reach, high=value + reach, confidence=0.95, method="normal", n=9)

    found = ratio(estimate(*one), estimate(*two))
    z = 1.959963984540054
    a, b = two[0] ** 2 * (1 - (z * two[1]) ** 2), one[0] * two[0]
    c = one[0] ** 2 * (1 - (z * one[1]) ** 2)
    root = math.sqrt(b * b - a * c)
    assert (found.low, found.high) == pytest.approx(((b - root) / a, (b + root) / a))


def test_a_ratio_needs_a_denominator_that_is_clearly_there() -> None:
    with pytest.raises(Undefined, match="reaches 0"):
        ratio(wilson(5, 10), wilson(0, 10))
    below = Estimate(value=0.1, low=-0.1, high=0.3, confidence=0.95, method="t", n=9)
    with pytest.raises(Undefined, match="negative"):
        ratio(below, wilson(5, 10))
    with pytest.raises(ValueError, match="different confidence"):
        gaps.difference(wilson(5, 10, 0.9), wilson(5, 10, 0.95))


def test_the_widest_gap_is_between_the_extremes_and_its_ends_know_it_was_picked() -> None:
    groups = {"a": group(80, 100), "b": group(60, 100), "c": group(70, 100)}
    found = widest(groups)
    assert (found.higher, found.lower) == ("a", "b")
    assert found.estimate.value == pytest.approx(0.2)
    plain = gaps.difference(wilson(80, 100), wilson(60, 100))
    assert found.estimate.low < plain.low
    assert found.estimate.high == plain.high
    share = widest(groups, combine=ratio)
    assert (share.higher, share.lower) == ("a", "b")
    assert share.estimate.value == pytest.approx(0.75)
    assert share.estimate.low == ratio(wilson(60, 100), wilson(80, 100)).low
    both = widest_of([groups, {"a": group(10, 100), "b": group(50, 100)}])
    assert (both.higher, both.lower, both.estimate.value) == ("b", "a", pytest.approx(0.4))
    with pytest.raises(TooFew, match="2 groups"):
        widest({"a": group(80, 100)})


def test_equal_groups_have_a_gap_whose_interval_begins_at_0() -> None:
    found = widest({"a": group(50, 100), "b": group(50, 100)}).estimate
    assert (found.value, found.low) == (0, 0)
    assert found.high > 0.1


@pytest.mark.thorough
@pytest.mark.parametrize(("rates", "n"), [([0.8, 0.8], 300), ([0.8] * 4, 300), ([0.7, 0.8, 0.8, 0.8], 300)])
def test_the_widest_gap_is_covered(rates: list[float], n: int) -> None:
    generator = np.random.default_rng(5)
    true, below, above = max(rates) - min(rates), 0, 0
    for successes in generator.binomial(n, rates, size=(1_000, len(rates))):
        groups = {str(at): group(int(count), n) for at, count in enumerate(successes)}
        found = widest(groups).estimate
        below += found.high < true
        above += found.low > true
    limit = 0.025 + 3 * math.sqrt(0.025 * 0.975 / 1_000)
    assert below / 1_000 < limit
    assert above / 1_000 < limit


# --- the change of a gap ---


def paired(both: int, lost: int, won: int, neither: int) -> Difference:
    return tango(PairedTable(both_right=both, only_base=lost, only_head=won, both_wrong=neither))


def test_a_change_of_the_gap_is_the_difference_of_the_changes() -> None:
    one, two = paired(700, 20, 30, 250), paired(500, 40, 10, 450)
    found = change([{"one": one, "two": two}])
    assert found.base == pytest.approx(one.base - two.base)
    assert found.delta == pytest.approx(one.delta - two.delta)
    assert one.standard_error
    assert two.standard_error
    assert found.standard_error == pytest.approx(math.hypot(one.standard_error, two.standard_error), rel=0.1)


def test_other_groups_may_become_the_extremes() -> None:
    groups = {"one": paired(900, 0, 0, 100), "two": paired(500, 20, 10, 470), "three": paired(450, 10, 300, 240)}
    found = change([groups])
    assert (found.base, found.head) == (pytest.approx(0.9 - 0.46), pytest.approx(0.9 - 0.51))
    assert found.low < found.delta < found.high


def test_what_did_not_change_or_cannot_be_known() -> None:
    values = np.random.default_rng(0).normal(size=50)
    same = paired_t(Pairs.of(values, values))
    other = paired_t(Pairs.of(values + 1, values + 1))
    assert change([{"one": same, "two": other}]).identical
    with pytest.raises(TooFew):
        change([{"one": same}])
    unknown = Difference(base=0, head=1, delta=1, low=0, high=2, p_value=0.05, confidence=0.95, method="draws", n=9)
    with pytest.raises(NotEstimable, match="group two has no standard errors"):
        change([{"one": same, "two": unknown}])


def test_the_changes_of_two_groups_make_the_interval_where_it_is_clear_which_is_worse() -> None:
    one, two = paired(7_000, 200, 300, 2_500), paired(5_000, 400, 100, 4_500)
    found = change([{"one": one, "two": two}])
    assert one.standard_error
    assert two.standard_error
    reach = 1.999 * math.hypot(one.standard_error, two.standard_error)  # z of 95.44 %
    assert (found.low, found.high) == pytest.approx((found.delta - reach, found.delta + reach), abs=3e-4)
    assert found.p_value < 1e-9


def test_equally_good_groups_have_a_wider_interval_than_any_pair() -> None:
    groups = {name: paired(750, 30, 30, 190) for name in "abcd"}
    groups["a"] = paired(730, 50, 20, 200)
    found = change([groups])
    assert found.delta == pytest.approx(0.03)
    alone = change([{"a": groups["a"], "b": groups["b"]}])
    assert found.high >= alone.high
    assert found.p_value > 0.05
    assert found.low < 0


groups_of_three = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 20), st.integers(2, 60)), min_size=3, max_size=3
)


@given(groups_of_three, groups_of_three, st.booleans())
def test_exchanging_the_sides_mirrors_the_change(
    cells: list[tuple[int, int, int, int]], more: list[tuple[int, int, int, int]], ratio: bool
) -> None:
    def outcome(flip: bool) -> Difference | type[NotEstimable]:
        made = [
            {str(at): paired(both, *((won, lost) if flip else (lost, won)), neither) for at, (both, lost, won, neither) in
             enumerate(group)} for group in (cells, more)
        ]  # fmt: skip
        try:
            return change(made, ratio=ratio)
        except NotEstimable as error:
            return type(error)

    one, two = outcome(False), outcome(True)
    if isinstance(one, type) or isinstance(two, type):
        assert one is two
        return
    assert (one.low, one.high, one.delta) == pytest.approx((-two.high, -two.low, -two.delta), abs=1e-12)
    assert one.p_value == pytest.approx(two.p_value)
    assert (one.p_value < 0.05) == (one.low > 0 or one.high < 0)


@pytest.mark.thorough
@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize(
    ("rates", "lost", "n"),
    [
        ([0.8, 0.8], 0.0, 300),
        ([0.7, 0.8, 0.8, 0.8], 0.0, 300),
        ([0.7, 0.8], 0.03, 300),
        ([0.8, 0.8], 0.03, 300),  # where the widest gap of the base is noise's
        ([0.8, 0.8], 0.03, 2_000),
        ([0.8, 0.8, 0.8], 0.05, 1_000),
    ],
)
def test_a_change_of_the_gap_is_rarely_misjudged(rates: list[float], lost: float, n: int, ratio: bool) -> None:
    """The first group loses more than it wins."""
    cells = [[rate - 0.03, 0.03, 0.03, 1 - rate - 0.03] for rate in rates]
    cells[0][0], cells[0][1] = cells[0][0] - lost, cells[0][1] + lost
    after = [rates[0] - lost, *rates[1:]]
    true = min(after) / max(after) - min(rates) / max(rates) if ratio else max(after) - min(after) - np.ptp(rates)

    def draw(generator: np.random.Generator) -> Difference:
        drawn = [paired(*(int(cell) for cell in generator.multinomial(n, part))) for part in cells]
        return change([{str(at): one for at, one in enumerate(drawn)}], ratio=ratio)

    check(World(draw, float(true), higher_is_better=ratio))
