import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats import independent
from ci_ml.stats.proportion import wilson


def test_newcombes_method_10() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, column (a): 56/70 and 48/80, method 10."""
    found = independent.difference(wilson(48, 80), wilson(56, 70))
    assert found.delta == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(st.integers(0, 60), st.integers(0, 80))
def test_either_way_round_it_is_the_same(one: int, two: int) -> None:
    there = independent.difference(wilson(one, 60), wilson(two, 80))
    back = independent.difference(wilson(two, 80), wilson(one, 60))
    assert (back.low, back.delta, back.high) == pytest.approx((-there.high, -there.delta, -there.low))
    assert back.p_value == pytest.approx(there.p_value)


@given(st.integers(0, 60), st.integers(0, 80), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_p_value_says_what_the_interval_says(one: int, two: int, confidence: float) -> None:
    found = independent.difference(wilson(one, 60, confidence), wilson(two, 80, confidence))
    if min(abs(found.low), abs(found.high)) > 1e-9:
        assert (found.p_value < 1 - confidence) == (found.low > 0 or found.high < 0)


def test_intervals_cover_as_often_as_they_say() -> None:
    chance = np.random.default_rng(1)
    true = 0.85 - 0.80
    hits = 0
    for _ in range(2000):
        found = independent.difference(
            wilson(int(chance.binomial(400, 0.80)), 400), wilson(int(chance.binomial(150, 0.85)), 150)
        )
        hits += found.low <= true <= found.high
    assert 0.94 <= hits / 2000 <= 0.965


def test_confidences_have_to_agree() -> None:
    with pytest.raises(ValueError, match="confidence"):
        independent.difference(wilson(1, 10, 0.9), wilson(1, 10, 0.95))
