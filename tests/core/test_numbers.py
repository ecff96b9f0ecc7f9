import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ci_ml.core.numbers import decimals, percent, plain, signed

finite = st.floats(allow_nan=False, allow_infinity=False)
NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.0, None, "0"),
        (-0.0, None, "0"),
        (-0.0, 2, "0.00"),
        (0.5, None, "0.5"),
        (-0.5, None, "−0.5"),
        (0.123456789, None, "0.123457"),
        (123456.789, None, "123,457"),
        (1234.5678, None, "1,234.57"),
        (1234567.0, None, "1,234,567"),
        (-1234567.0, 0, "−1,234,567"),
        (1e15, None, "1e+15"),
        (1.5e-7, None, "1.5e−07"),
        (0.9, 3, "0.900"),
        (math.inf, None, "∞"),
        (-math.inf, 2, "−∞"),
    ],
)
def test_a_value_as_people_write_it(value: float, digits: int | None, expected: str) -> None:
    assert plain(value, digits) == expected


@pytest.mark.parametrize(
    ("value", "digits", "expected"), [(0.01, 2, "+0.01"), (-0.01, 2, "−0.01"), (0.0, None, "0"), (3.0, 0, "+3")]
)
def test_a_change_carries_its_sign(value: float, digits: int | None, expected: str) -> None:
    assert signed(value, digits) == expected


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (0.911, 0.9, ("0.911", "0.900", "−0.011")),
        (0.9112345, 0.8512345, ("0.911", "0.851", "−0.060")),
        (0.90, 0.89, ("0.90", "0.89", "−0.01")),
        (0.91, 0.9100001, ("0.9100000", "0.9100001", "+0.0000001")),
        (212.0, 305.0, ("212", "305", "+93")),
        (1234567.0, 1234568.0, ("1,234,567", "1,234,568", "+1")),
        (1234567.1, 1234567.2, ("1,234,567.1", "1,234,567.2", "+0.1")),
        (0.0, 0.25, ("0.00", "0.25", "+0.25")),
        (0.123456789012, 0.123456789011, ("0.123456789012", "0.123456789011", "−0.000000000001")),
        (0.3, 0.1 + 0.2, ("0.30000000000000", "0.30000000000000", "")),
    ],
)
def test_digits_fit_the_change(base: float, head: float, expected: tuple[str, str, str]) -> None:
    digits = decimals(base, head, head - base)
    shown = (plain(base, digits), plain(head, digits), signed(head - base, digits))
    if expected[2]:
        assert shown == expected
    else:  # one step of floating point apart: all that counts is that it shows
        assert shown[0] != shown[1]


@given(base=finite, head=finite)
def test_different_values_look_different_and_their_change_is_not_zero(base: float, head: float) -> None:
    assume(base != head)
    change = head - base
    digits = decimals(base, head, change)
    assert plain(base, digits) != plain(head, digits)
    assert set(plain(change, digits)) & set("123456789∞")


@given(value=finite)
def test_equal_values_look_equal(value: float) -> None:
    digits = decimals(value, value, 0.0)
    assert plain(value, digits) == plain(value + 0.0, digits)
    assert signed(0.0, digits).strip("0.") == ""


@given(value=finite, digits=st.none() | st.integers(-17, 17))
def test_the_minus_sign_is_a_true_one_wherever_it_stands(value: float, digits: int | None) -> None:
    assert "-" not in plain(value, digits)
    assert "-" not in signed(value, digits)


@given(value=st.floats(1e-4, 1e15, exclude_max=True))
def test_no_digits_means_six_that_count(value: float) -> None:
    shown = float(plain(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.438679, f"+44{NBSP}%"),
        (-0.0438679, f"−4.4{NBSP}%"),
        (0.005, f"+0.50{NBSP}%"),
        (0.0000512, f"+0.0051{NBSP}%"),
        (1e-9, f"+1e−07{NBSP}%"),
        (12.0, f"+1,200{NBSP}%"),
        (0.0, f"0{NBSP}%"),
        (math.inf, f"+∞{NBSP}%"),
    ],
)
def test_a_share_in_percent(share: float, expected: str) -> None:
    assert percent(share) == expected


@given(share=finite)
def test_a_share_that_is_not_zero_does_not_look_like_it(share: float) -> None:
    assume(share * 100 != 0)
    assert set(percent(share)) & set("123456789∞")
