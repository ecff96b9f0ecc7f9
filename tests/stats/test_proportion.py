import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ci_ml.stats.estimate import TooFew
from ci_ml.stats.proportion import clopper_pearson, wilson

tables = st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(tables, st.sampled_from([0.8, 0.9, 0.95, 0.999]))
def test_they_are_scipys(table: tuple[int, int], confidence: float) -> None:
    expected = stats.binomtest(*table)
    for found, method in ((wilson(*table, confidence), "wilson"), (clopper_pearson(*table, confidence), "exact")):
        interval = expected.proportion_ci(confidence, method)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-12)


@given(tables)
def test_failures_mirror_successes(table: tuple[int, int]) -> None:
    successes, n = table
    for method in (wilson, clopper_pearson):
        one, two = method(successes, n), method(n - successes, n)
        assert (one.low, one.high) == pytest.approx((1 - two.high, 1 - two.low), abs=1e-12)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_all_or_nothing_still_has_a_width(method: object) -> None:
    assert method(20, 20).high == 1  # type: ignore[operator]
    assert 0.8 < method(20, 20).low < 0.87  # type: ignore[operator]
    assert method(0, 20).low == 0  # type: ignore[operator]
    with pytest.raises(TooFew):
        method(1, 1)  # type: ignore[operator]
    with pytest.raises(ValueError, match="is not a proportion"):
        method(3, 2)  # type: ignore[operator]
    with pytest.raises(ValueError, match="between 0 and 1"):
        method(2, 3, 95)  # type: ignore[operator]
