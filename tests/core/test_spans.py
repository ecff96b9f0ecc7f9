from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import spans


@pytest.mark.parametrize(
    ("text", "span"),
    [("30m", timedelta(minutes=30)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7)), ("2w", timedelta(days=14))],
)
def test_lengths_of_time(text: str, span: timedelta) -> None:
    assert spans.parse(text) == span


@pytest.mark.parametrize(
    "text", ["", "0d", "7", "d", "-1d", "1.5h", "7 d", "7D", "9999999d", "999999w", "\N{ARABIC-INDIC DIGIT ONE}d"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        spans.parse(text)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=20), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=25), "1 day 1 hour"),
        (timedelta(days=3, hours=4, minutes=5), "3 days 4 hours"),
        (timedelta(days=2), "2 days"),
        (timedelta(hours=2, minutes=1), "2 hours 1 minute"),
        (timedelta(seconds=-5), "less than a minute"),
    ],
)
def test_words(span: timedelta, words: str) -> None:
    assert spans.words(span) == words


@given(st.integers(1, 3660), st.sampled_from("mhd"))
def test_every_length_up_to_ten_years_is_read(count: int, unit: str) -> None:
    names = {"m": "minutes", "h": "hours", "d": "days"}
    assert spans.parse(f"{count}{unit}") == timedelta(**{names[unit]: count})
