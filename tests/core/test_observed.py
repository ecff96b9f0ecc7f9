import pytest

from ci_ml.core import observed
from ci_ml.core.expectations import ColumnType


def whole(*values: int) -> observed.Seen:
    """A column of these whole numbers, many times each."""
    return observed.Seen(
        name="n",
        type=ColumnType.INTEGER,
        given=1000,
        low=min(values),
        high=max(values),
        values=values,
        distinct=len(values),
    )


@pytest.mark.parametrize("codes", [(0, 1), (1, 2, 3, 4, 5), (10, 20, 40, 80, 160, 320), (100, 200, 301, 404, 500, 503)])
def test_codes_are_listed(codes: tuple[int, ...]) -> None:
    assert observed.propose(whole(*codes), 1000).keys == {"type": "integer", "allowed": list(codes)}


def test_counts_get_a_range_for_the_next_table_has_one_that_was_not_seen() -> None:
    calls = (*range(13), 14, 16)  # nobody has called thirteen times yet
    assert observed.propose(whole(*calls), 1000).keys == {"type": "integer", "min": 0, "max": 18}
