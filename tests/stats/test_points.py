from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ci_ml.stats.points import RELATIVE_TOLERANCE, exceeds

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@pytest.mark.parametrize(
    ("base", "head", "margin"),
    [
        ("0.90", "0.89", "0.01"),
        ("0.3", "0.2", "0.1"),
        ("1.1", "1.0", "0.1"),
        ("100.1", "100", "0.1"),
        ("1000000.1", "1000000", "0.1"),
        ("0.000003", "0.000001", "0.000002"),
    ],
)
def test_a_loss_of_exactly_the_margin_does_not_exceed_it(base: str, head: str, margin: str) -> None:
    assert Decimal(base) - Decimal(head) == Decimal(margin)
    scale = max(abs(float(base)), abs(float(head)))
    assert not exceeds(float(base) - float(head), float(margin), scale=scale)


@pytest.mark.parametrize(("amount", "limit"), [(0.010001, 0.01), (1e-9, 0.0), (0.1, 0.0)])
def test_a_loss_beyond_the_margin_exceeds_it(amount: float, limit: float) -> None:
    assert exceeds(amount, limit, scale=0.9)


@given(places=st.integers(0, 6), data=st.data())
def test_decimals_of_up_to_six_places_are_compared_as_they_are_written(places: int, data: st.DataObject) -> None:
    unit = Decimal(1).scaleb(-places)
    base, head = (data.draw(st.integers(-(10**7), 10**7)) * unit for _ in range(2))
    margin = data.draw(st.integers(0, 10**7)) * unit
    loss = float(base) - float(head)
    scale = max(abs(float(base)), abs(float(head)))
    assert exceeds(loss, float(margin), scale=scale) == (base - head > margin)


@given(amount=finite, limit=finite, scale=finite)
def test_it_is_true_only_for_what_is_larger(amount: float, limit: float, scale: float) -> None:
    if exceeds(amount, limit, scale=scale):
        assert amount > limit


@given(amount=finite, limit=finite)
def test_the_tolerance_is_a_trillionth_of_the_larger_magnitude(amount: float, limit: float) -> None:
    scale = max(abs(amount), abs(limit))
    excess = Decimal(amount) - Decimal(limit)
    tolerance = Decimal(RELATIVE_TOLERANCE) * Decimal(scale)
    assume(abs(excess - tolerance) > Decimal(scale) * Decimal("1e-15"))
    assert exceeds(amount, limit, scale=scale) == (excess > tolerance)
