"""Benjamini and Hochberg's correction, against scipy's and the example of their paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ci_ml.stats import benjamini

# Benjamini and Hochberg (1995), section 4.1.
PAPER = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
PAPER += [0.4262, 0.5719, 0.6528, 0.7590, 1.0000]


def test_the_paper_rejects_four() -> None:
    assert sum(p <= 0.05 for p in benjamini.adjusted(PAPER)) == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_is_scipys(values: list[float]) -> None:
    assert benjamini.adjusted(values) == pytest.approx(stats.false_discovery_control(values))


def test_order_does_not_matter() -> None:
    shuffled = np.random.default_rng(1).permutation(len(PAPER))
    found = benjamini.adjusted([PAPER[at] for at in shuffled])
    assert found == tuple(benjamini.adjusted(PAPER)[at] for at in shuffled)


def test_nothing_is_corrected_to_nothing() -> None:
    assert benjamini.adjusted([]) == ()


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_refuses_what_is_no_probability(value: float) -> None:
    with pytest.raises(ValueError, match="p-value"):
        benjamini.adjusted([0.5, value])
