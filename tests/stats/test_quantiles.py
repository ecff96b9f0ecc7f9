import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import median_absolute_error

from ci_ml.stats.estimate import Difference, NoVariance, TooFew
from ci_ml.stats.quantiles import Order, difference, of_rows, ranks, value


def compare(base: np.ndarray, head: np.ndarray, quantile: float = 0.5) -> Difference:
    one, two = of_rows(base, quantile), of_rows(head, quantile)
    both = int(((base <= one.value) & (head <= two.value)).sum())
    return difference(one, two, n=len(base), both_below=both, quantile=quantile)


@given(st.integers(50, 5_000), st.sampled_from([0.5, 0.8]), st.sampled_from([0.8, 0.95]))
def test_the_ranks_cover_the_quantile_as_often_as_they_should(n: int, quantile: float, confidence: float) -> None:
    low, high = ranks(n, quantile, confidence)
    # The quantile lies between order statistics `low` and `high` if low..high-1 values lie below it.
    coverage = stats.binom.cdf(high - 1, n, quantile) - stats.binom.cdf(low - 1, n, quantile)
    assert confidence - 0.012 < coverage < confidence + 0.12


def test_the_value_is_numpys_and_scikit_learns() -> None:
    errors = np.random.default_rng(0).exponential(size=201)
    found = value(of_rows(errors, 0.5), n=201)
    assert found.value == median_absolute_error(np.zeros(201), errors)
    assert found.low in errors
    assert found.high in errors


@pytest.mark.thorough
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_the_standard_error_is_that_of_fresh_samples(quantile: float) -> None:
    generator = np.random.default_rng(1)
    deltas, errors = [], []
    for _ in range(2_000):
        common = generator.exponential(size=1_000)
        base, head = (common * np.exp(0.3 * generator.normal(size=1_000)) for _ in range(2))
        found = compare(base, head, quantile)
        deltas.append(found.delta)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(deltas), rel=0.12)


def test_exchanging_the_sides_mirrors_it_and_units_carry_over() -> None:
    generator = np.random.default_rng(2)
    base = generator.exponential(size=300)
    head = base * np.exp(0.2 * generator.normal(size=300))
    one, two, scaled = compare(base, head), compare(head, base), compare(10 * base, 10 * head)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    assert (one.low * 10, one.high * 10) == pytest.approx((scaled.low, scaled.high))
    order = generator.permutation(300)
    assert compare(base[order], head[order]) == one


def test_ties_and_sameness() -> None:
    errors = np.random.default_rng(3).exponential(size=100)
    order = of_rows(errors, 0.5)
    found = difference(order, order, n=100, both_below=50, quantile=0.5, same=True)
    assert (found.low, found.high, found.identical) == (0, 0, True)
    with pytest.raises(NoVariance):
        compare(np.zeros(100), errors)
    with pytest.raises(NoVariance):
        value(of_rows(np.zeros(100), 0.5), n=100)


def test_that_nobody_crossed_the_quantile_does_not_say_that_nobody_would() -> None:
    errors = np.random.default_rng(3).exponential(size=100)
    head = errors.copy()
    head[errors.argmax()] += 1
    found, more = compare(errors, head), compare(np.repeat(errors, 9), np.repeat(head, 9))
    assert found.low < found.delta == 0 < found.high == -found.low
    side = value(of_rows(errors, 0.5), n=100)
    assert found.high - found.low < 0.4 * (side.high - side.low)
    assert more.high < 0.3 * found.high
    moved = compare(errors, errors + 0.1)
    assert moved.low < 0.1 < moved.high


def test_too_few_examples_for_the_quantile() -> None:
    with pytest.raises(TooFew, match="4 examples"):
        ranks(4, 0.5)
    with pytest.raises(TooFew, match=r"60 examples: too few for an interval of the 0\.99 quantile"):
        ranks(60, 0.99)
    with pytest.raises(ValueError, match="out of order"):
        Order(value=1, low=2, high=3)
    with pytest.raises(ValueError, match="not a finite number"):
        Order(value=1, low=0, high=float("inf"))
    with pytest.raises(ValueError, match="the quantile"):
        ranks(100, 1.0)
