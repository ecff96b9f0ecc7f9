import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats import clusters
from ci_ml.stats.influence import Totals


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_totals_of_combined_columns_are_combined_totals(seed: int, before: int, after: int) -> None:
    generator = np.random.default_rng(seed)
    rows, matrix = generator.normal(size=(30, before)), generator.normal(size=(after, before))
    found = Totals.of(rows, n=90, clusters=True).mapped(matrix)
    expected = Totals.of(rows @ matrix.T, n=90, clusters=True)
    assert found.sums == pytest.approx(expected.sums)
    assert found.products == pytest.approx(expected.products)
    assert (found.n, found.units, found.clusters) == (90, 30, True)


def test_what_is_mapped_judges_as_if_it_had_been_summed() -> None:
    generator = np.random.default_rng(1)
    count = np.full(40, 5.0)
    base, head = generator.normal(10, 1, 40), generator.normal(10.5, 1, 40)
    sides = Totals.of(np.stack([count, base, head], axis=1), n=200, clusters=True)
    change = Totals.of(np.stack([count, base, head - base], axis=1), n=200, clusters=True)
    one = clusters.mean_difference(sides.mapped([[1, 0, 0], [0, 1, 0], [0, -1, 1]]))
    two = clusters.mean_difference(change)
    assert (one.low, one.high, one.base_error) == pytest.approx((two.low, two.high, two.base_error))


def test_a_matrix_fits_the_columns() -> None:
    totals = Totals.of(np.ones((3, 2)), n=3)
    with pytest.raises(ValueError, match="matmul"):
        totals.mapped([[1, 0, 0]])
