"""The total variation distance: what it is, and how often its bound is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats.variation import total_variation


def counts(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def test_it_is_the_largest_difference_in_probability() -> None:
    distance, low = total_variation(counts(8000, 2000), counts(6000, 4000), 0.95)
    assert distance == pytest.approx(0.2)
    assert 0.17 < low < 0.2


def test_nothing_in_common_is_one() -> None:
    distance, low = total_variation(counts(1000, 0), counts(0, 1000), 0.95)
    assert (distance, low > 0.95) == (1.0, True)


@pytest.mark.parametrize("empty", [(counts(0, 0), counts(1, 1)), (counts(1, 1), counts(0, 0))])
def test_without_counts_there_are_no_shares(empty: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="nothing to take shares of"):
        total_variation(*empty, 0.95)


_COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=8)


@given(base=_COUNTS, head=_COUNTS, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.9999]))
def test_it_is_between_0_and_1_and_its_bound_below_it(base: list[int], head: list[int], confidence: float) -> None:
    size = min(len(base), len(head))
    one, other = counts(*base[:size]), counts(*head[:size])
    if one.sum() and other.sum():
        distance, low = total_variation(one, other, confidence)
        assert 0 <= low <= distance <= 1 + 1e-12
        assert total_variation(other, one, confidence)[0] == pytest.approx(distance)


@pytest.mark.parametrize(
    ("shares", "n"),
    [((0.5, 0.5), 50), ((0.9, 0.1), 200), ((0.2,) * 5, 100), ((0.02,) * 50, 500), ((0.97, 0.02, 0.01), 60)],
)
def test_noise_alone_is_no_difference(shares: tuple[float, ...], n: int) -> None:
    """Of 2,000 pairs of samples of one distribution no more than 5 % (and what chance adds) have a bound above 0."""
    chance = np.random.default_rng(7)
    drawn = chance.multinomial(n, shares, size=(2000, 2)).astype(float)
    wrong = sum(total_variation(one, other, 0.95)[1] > 0 for one, other in drawn)
    assert wrong / 2000 < 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


@pytest.mark.parametrize("n", [200, 2000])
def test_the_bound_is_below_the_truth(n: int) -> None:
    chance = np.random.default_rng(8)
    p, q = (0.6, 0.3, 0.1), (0.5, 0.3, 0.2)
    pairs = zip(chance.multinomial(n, p, size=2000), chance.multinomial(n, q, size=2000), strict=True)
    wrong = sum(total_variation(one.astype(float), other.astype(float), 0.95)[1] > 0.1 for one, other in pairs)
    assert wrong / 2000 < 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
