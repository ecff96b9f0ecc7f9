import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ci_ml.stats.estimate import TooFew
from ci_ml.stats.normal import critical
from ci_ml.stats.tango import PairedTable, tango

counts = st.one_of(st.integers(0, 5), st.integers(0, 10_000), st.integers(0, 10**9))
confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.9999])


def table(both_right: int, only_base: int, only_head: int, both_wrong: int) -> PairedTable:
    return PairedTable(both_right=both_right, only_base=only_base, only_head=only_head, both_wrong=both_wrong)


def statistic(lost: int, won: int, n: int, difference: float) -> float:
    """Tango's score statistic as he writes it, with P(only base) as the larger root in its textbook form."""
    a, b, c = 2 * n, -won - lost + (2 * n - won + lost) * difference, -lost * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 4 * a * c, 0)) - b) / (2 * a)
    return (won - lost - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference)))


@given(lost=st.integers(0, 400), won=st.integers(0, 400), same=st.integers(1, 2_000), confidence=confidences)
def test_its_ends_are_where_the_score_test_is_just_significant(
    lost: int, won: int, same: int, confidence: float
) -> None:
    assume(lost + won)
    found = tango(table(same, lost, won, 0), confidence)
    z, n = critical(confidence), lost + won + same
    for end, expected in ((found.low, z), (found.high, -z)):
        assume(1e-3 < abs(end) < 1 - 1e-3)  # elsewhere the textbook form cancels
        assert statistic(lost, won, n, end) == pytest.approx(expected, rel=1e-6)


@given(n=st.integers(2, 10**9), confidence=confidences, share=st.floats(0, 1))
def test_without_a_discordant_example_it_reaches_as_far_as_the_formula_says(
    n: int, confidence: float, share: float
) -> None:
    right = int(share * n)
    found = tango(table(right, 0, 0, n - right), confidence)
    reach = critical(confidence) ** 2 / (n + critical(confidence) ** 2)
    assert (found.low, found.high) == pytest.approx((-reach, reach), rel=1e-9)
    assert found.delta == 0
    assert found.p_value == 1


@pytest.mark.parametrize("n", [2, 3, 10, 10_000])
def test_every_example_lost_or_won_ends_at_minus_one_or_one(n: int) -> None:
    assert tango(table(0, n, 0, 0)).low == -1
    assert tango(table(0, 0, n, 0)).high == 1


@given(counts, counts, counts, counts, confidences)
def test_exchanging_the_sides_mirrors_it(a: int, b: int, c: int, d: int, confidence: float) -> None:
    assume(a + b + c + d >= 2)
    one, two = tango(table(a, b, c, d), confidence), tango(table(a, c, b, d), confidence)
    assert (one.delta, one.low, one.high) == (-two.delta, -two.high, -two.low)
    assert one.p_value == two.p_value
    assert (one.base, one.head) == (two.head, two.base)


@given(counts, counts, counts, counts, confidences)
def test_it_holds_its_point_and_stays_within_bounds(a: int, b: int, c: int, d: int, confidence: float) -> None:
    assume(a + b + c + d >= 2)
    found = tango(table(a, b, c, d), confidence)
    assert -1 <= found.low <= found.delta <= found.high <= 1
    assert found.low < found.high


@given(counts, counts, counts, counts)
def test_more_confidence_is_wider(a: int, b: int, c: int, d: int) -> None:
    assume(a + b + c + d >= 2)
    one, two = tango(table(a, b, c, d), 0.9), tango(table(a, b, c, d), 0.95)
    assert two.low <= one.low
    assert one.high <= two.high


def test_with_many_examples_it_is_the_plain_interval() -> None:
    found = tango(table(9_000_000, 400_000, 300_000, 300_000))
    assert found.standard_error
    plain = critical(0.95) * found.standard_error
    assert (found.low, found.high) == pytest.approx((found.delta - plain, found.delta + plain), rel=1e-4)


def test_it_needs_two_examples_and_counts() -> None:
    with pytest.raises(TooFew, match="1 examples"):
        tango(table(1, 0, 0, 0))
    with pytest.raises(ValueError, match="negative count"):
        table(1, -1, 3, 4)
    with pytest.raises(ValueError, match="not a finite number"):
        table(math.nan, 1, 3, 4)  # type: ignore[arg-type]


def test_the_exact_unconditional_coverage_of_small_tables_is_near_nominal() -> None:
    """All tables of 30 examples, at 20 % discordant and no true difference."""
    n, inside = 30, 0.0
    logs = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    for lost in range(n + 1):
        for won in range(n + 1 - lost):
            weight = math.exp(
                logs[n]
                - logs[lost]
                - logs[won]
                - logs[n - lost - won]
                + (lost + won) * math.log(0.1)
                + (n - lost - won) * math.log(0.8)
            )
            if weight > 1e-9:
                found = tango(table(n - lost - won, lost, won, 0))
                inside += weight * (found.low <= 0 <= found.high)
    assert 0.94 < inside < 0.965
