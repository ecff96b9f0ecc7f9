import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_ml.stats.calibration import difference, of_rows, value
from ci_ml.stats.estimate import NoVariance, TooFew


def data(seed: int, n: int, slope: float = 1.5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A base that is calibrated but for some noise, a head that exaggerates, and labels."""
    generator = np.random.default_rng(seed)
    odds = 1.5 * generator.normal(size=n)
    label = generator.random(n) < 1 / (1 + np.exp(-odds))
    base = 1 / (1 + np.exp(-(odds + 0.3 * generator.normal(size=n))))
    return base, label, 1 / (1 + np.exp(-slope * odds)), label


def definition(confidence: np.ndarray, outcome: np.ndarray, bins: int) -> float:
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if low == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - outcome[inside].mean())
    return total


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 4, 8]))
@settings(max_examples=40)
def test_the_value_is_the_definitions(seed: int, bins: int) -> None:
    base, label, head, _ = data(seed, 200)
    found = difference(of_rows(base, label, head, label, bins))
    assert (found.base, found.head) == pytest.approx((definition(base, label, bins), definition(head, label, bins)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_exchanging_sides_mirrors_it_and_order_does_not_matter(seed: int) -> None:
    base, label, head, _ = data(seed, 300)
    one, two = difference(of_rows(base, label, head, label, 15)), difference(of_rows(head, label, base, label, 15))
    assert (one.low, one.high, one.p_value) == pytest.approx((-two.high, -two.low, two.p_value), abs=1e-9)
    order = np.random.default_rng(seed).permutation(300)
    again = difference(of_rows(base[order], label[order], head[order], label[order], 15))
    assert (one.low, one.high) == pytest.approx((again.low, again.high), abs=1e-9)
    assert (one.p_value < 0.05) == (one.low > 0 or one.high < 0)


@pytest.mark.thorough
def test_where_every_bin_is_far_off_it_is_the_bootstrap() -> None:
    generator = np.random.default_rng(0)
    n = 3_000
    score = np.round(generator.random(n), 3)
    label = generator.random(n) < score / 2
    other = np.clip(score + 0.05 * generator.normal(size=n), 0, 1)
    found = difference(of_rows(score, label, other, label, 5))
    drawn = []
    for _ in range(600):
        rows = generator.integers(0, n, n)
        again = difference(of_rows(score[rows], label[rows], other[rows], label[rows], 5))
        drawn.append((again.delta, again.head))
    spread = np.std(drawn, axis=0)
    assert (found.standard_error, found.head_error) == pytest.approx(tuple(spread), rel=0.1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread[0], rel=0.2)
    side = value(of_rows(score, label, other, label, 5))
    assert side.standard_error == pytest.approx(spread[1], rel=0.1)


def test_identical_confidences_differ_by_exactly_0_and_only_those() -> None:
    base, label, _, _ = data(3, 500)
    found = difference(of_rows(base, label, base, label, 15))
    assert (found.low, found.high, found.identical) == (0, 0, True)
    assert found.base_error
    ones = np.ones(50)
    with pytest.raises(NoVariance):
        difference(of_rows(0.2 * ones, ones, 0.25 * ones, ones, 10))
    with pytest.raises(NoVariance, match="moved by the same amount"):
        difference(of_rows(0.7 * np.ones(60), np.arange(60) < 5, 0.35 * np.ones(60), np.arange(60) < 5, 4))
    with pytest.raises(NoVariance, match="off by the same amount"):
        value(of_rows(0.2 * ones, ones, 0.25 * ones, ones, 10))


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan, np.inf])
def test_a_confidence_is_a_share(wrong: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        of_rows([0.5, wrong], [1, 0], [0.5, 0.5], [1, 0], 10)
    with pytest.raises(ValueError, match="from 0 to 1"):
        of_rows([0.5, 0.5], [1, 0], [0.5, wrong], [1, 0], 10)


def test_one_example_is_too_few() -> None:
    with pytest.raises(TooFew):
        of_rows([0.5], [1], [0.4], [1], 10)
