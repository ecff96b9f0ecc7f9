import pytest

from ci_ml.core.listing import some


@pytest.mark.parametrize(
    ("names", "said"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("abcdefg", "a, b, c and 4 more")],
)
def test_what_is_left_out_is_counted(names: str, said: str) -> None:
    assert some(names) == said


def test_of_longer_parts() -> None:
    assert some(iter(["it is red", "it is late", "it is"]), 2, between="; ") == "it is red; it is late and 1 more"
