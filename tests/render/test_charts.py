import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.render.charts import forest

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("better", "margin", "interval", "picture"),
    [
        (0.0, 0.01, None, "····┊···●·······"),
        (-0.01, 0.01, None, "····●···│·······"),
        (0.005, 0.01, (-0.005, 0.015), "····┊·├─│─●───┤·"),
        (-0.5, 0.01, None, "◂···┊···│·······"),
        (0.5, 0.01, None, "····┊···│······▸"),
        (-0.03, 0.01, (-0.05, -0.01), "◂───┊···│·······"),
        (0.03, 0.01, (0.018, 0.042), "····┊···│······▸"),
        (-0.05, 0.01, (-0.06, -0.04), "◂···┊···│·······"),
        (-0.035, 0.01, (-0.04, -0.03), "◂···┊···│·······"),
        (0.0, 0.01, (-0.05, 0.05), "◂───┊───●──────▸"),
        (2.0, 0.0, (1.0, 4.0), "········│├●─┤···"),
        (0.0, 0.0, None, "········●·······"),
    ],
)
def test_a_row(better: float, margin: float, interval: tuple[float, float] | None, picture: str) -> None:
    assert forest(better, margin, interval) == picture


@given(better=finite, margin=finite.map(abs), low=finite, high=finite)
def test_is_as_wide_as_every_other_whatever_the_numbers(better: float, margin: float, low: float, high: float) -> None:
    assert len(forest(better, margin, (low, high))) == 16


@given(ends=st.tuples(finite, finite), margin=st.floats(0.001, 1))
def test_an_interval_that_leaves_the_picture_says_on_which_side(ends: tuple[float, float], margin: float) -> None:
    low, high = sorted(ends)
    row = forest((low + high) / 2 if abs(low + high) < 1e300 else low, margin, (low, high))
    if low < -3 * margin:
        assert row[0] == "◂"
    if high > 3 * margin:
        assert row[-1] == "▸"
