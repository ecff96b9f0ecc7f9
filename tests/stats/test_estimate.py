import math
from typing import Any

import pytest

from ci_ml.stats.estimate import Difference, Estimate, NotEstimable, NoVariance, TooFew, Undefined, at_least, identical
from ci_ml.stats.normal import critical, implied_error, p_value

VALUE: dict[str, Any] = {"value": 0.5, "low": 0.4, "high": 0.6, "confidence": 0.95, "method": "t", "n": 10}
DIFFERENCE: dict[str, Any] = {
    "base": 0.5,
    "head": 0.6,
    "delta": 0.1,
    "low": 0.0,
    "high": 0.2,
    "p_value": 0.05,
    "confidence": 0.95,
    "method": "t",
    "n": 10,
}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["value", "low", "high", "standard_error", "df"])
def test_a_number_that_is_not_finite_cannot_be_constructed(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=f"{name} holds .*not a finite number"):
        Estimate(**{**VALUE, name: number})


@pytest.mark.parametrize("name", ["base", "head", "delta", "low", "high", "p_value"])
def test_nor_can_a_difference_of_such(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} holds nan"):
        Difference(**{**DIFFERENCE, name: math.nan})


def test_a_point_outside_its_interval_is_a_bug() -> None:
    with pytest.raises(ValueError, match="outside its interval"):
        Estimate(**{**VALUE, "low": 0.55})


def test_a_width_of_0_comes_from_identical_sides_or_not_at_all() -> None:
    with pytest.raises(NoVariance):
        Estimate(**{**VALUE, "low": 0.5, "high": 0.5})
    with pytest.raises(NoVariance):
        Difference(**{**DIFFERENCE, "low": 0.1, "high": 0.1})
    with pytest.raises(NoVariance):
        Difference(**{**DIFFERENCE, "delta": 0.0, "low": 0.0, "high": 0.0})
    with pytest.raises(NoVariance):
        Difference(**{**DIFFERENCE, "low": 0.1, "high": 0.1, "identical": True})
    with pytest.raises(NoVariance):  # 0.3 - 0.2 and 0.4 - 0.3 differ by 1e-17, which is no variance
        Difference(**{**DIFFERENCE, "low": 0.1 - 1e-17, "high": 0.1 + 1e-16})
    with pytest.raises(NoVariance):
        Estimate(**{**VALUE, "low": 0.5 - 1e-16, "high": 0.5})
    found = identical(0.5, n=10, confidence=0.95, method="t")
    assert (found.delta, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("changes", [{"n": 1}, {"n": 100, "clusters": 1}])
def test_one_unit_is_too_few(changes: dict[str, int]) -> None:
    with pytest.raises(TooFew):
        Estimate(**{**VALUE, **changes})


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        Estimate(**{**VALUE, "confidence": confidence})
    with pytest.raises(ValueError, match="confidence"):
        critical(confidence)


def test_what_cannot_be_estimated_is_one_kind_of_value_error() -> None:
    for kind in (TooFew, Undefined, NoVariance):
        assert issubclass(kind, NotEstimable)
    assert issubclass(NotEstimable, ValueError)
    with pytest.raises(ValueError, match="the number of rows holds nan"):
        at_least("rows", math.nan)


def test_critical_values_and_p_values_are_the_tabulated_ones() -> None:
    assert critical(0.95) == pytest.approx(1.959963984540054)
    assert critical(0.95, 10) == pytest.approx(2.2281388519649385)
    assert critical(0.9, 1) == pytest.approx(6.313751514675043)
    assert p_value(-1.959963984540054) == pytest.approx(0.05)
    assert p_value(2.2281388519649385, 10) == pytest.approx(0.05)
    assert p_value(2.0, math.inf) == p_value(2.0)
    with pytest.raises(ValueError, match="degrees of freedom"):
        critical(0.95, 0)


def test_the_error_that_an_interval_implies_is_the_one_it_was_made_from() -> None:
    reach = critical(0.9, 7) * 0.03
    made = Estimate(value=0.5, low=0.5 - reach, high=0.5 + reach, confidence=0.9, method="t", n=8, df=7)
    assert implied_error(made) == pytest.approx(0.03)
    assert implied_error(Difference(**DIFFERENCE)) == pytest.approx(0.1 / critical(0.95))
