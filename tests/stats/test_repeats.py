import math

import numpy as np
import pytest
from scipy import stats

from ci_ml.stats.estimate import NoVariance, TooFew
from ci_ml.stats.repeats import difference, value


def test_seeds_alone_make_it_welchs_interval() -> None:
    base, head = [0.81, 0.83, 0.80, 0.82], [0.79, 0.84, 0.86]
    expected = stats.ttest_ind(head, base, equal_var=False)
    interval = expected.confidence_interval(0.9)
    found = difference(base, head, n=100, confidence=0.9)
    assert (found.low, found.high, found.p_value, found.df) == pytest.approx(
        (interval.low, interval.high, expected.pvalue, expected.df)
    )
    assert found.method == "repeats (seeds)"
    alone = stats.ttest_1samp(base, 0).confidence_interval(0.9)
    side = value(base, n=100, confidence=0.9)
    assert (side.low, side.high) == pytest.approx((alone.low, alone.high))


def test_examples_alone_make_it_the_examples_interval() -> None:
    found = difference([0.5, 0.5], [0.4, 0.4], n=100, example_variance=0.0025)
    assert (found.low, found.high) == pytest.approx((-0.1 - 0.05 * 1.959964, -0.1 + 0.05 * 1.959964), rel=1e-6)
    assert found.df is None
    assert value([0.5, 0.5], n=9, example_variance=0.0025, example_df=8).df == pytest.approx(8)


def test_variances_add_up_and_degrees_of_freedom_are_satterthwaites() -> None:
    base, head = [1.0, 2.0, 3.0], [2.0, 4.0]
    found = difference(base, head, n=50, example_variance=0.5, example_df=49)
    parts = [(1 / 3, 2), (2 / 2, 1), (0.5, 49)]
    total = sum(part for part, _ in parts)
    assert found.standard_error == pytest.approx(math.sqrt(total))
    assert found.df == pytest.approx(total**2 / sum(part**2 / df for part, df in parts))
    assert found.method == "repeats (seeds and examples)"
    mirrored = difference(head, base, n=50, example_variance=0.5, example_df=49)
    assert (found.low, found.high) == (-mirrored.high, -mirrored.low)


def test_too_little_says_so() -> None:
    with pytest.raises(TooFew, match="1 repeats of the base"):
        difference([0.5], [0.4, 0.5], n=10)
    with pytest.raises(NoVariance, match="all equal"):
        difference([0.5, 0.5], [0.4, 0.4], n=10)
    with pytest.raises(NoVariance):
        value([0.5, 0.5], n=10)
    with pytest.raises(ValueError, match="the repeats of the head holds nan"):
        difference([0.5, 0.4], [0.5, math.nan], n=10)
    with pytest.raises(ValueError, match="negative"):
        difference([0.5, 0.4], [0.5, 0.6], n=10, example_variance=-1)
    assert difference([0.5, 0.5], [0.5, 0.5], n=10).identical
    assert difference([0.8, 0.8 + 1e-16], [0.8, 0.8], n=10).identical


@pytest.mark.thorough
@pytest.mark.parametrize(("seeds", "n", "spread"), [(2, 300, 0.02), (3, 500, 0.02), (5, 2_000, 0.05), (5, 500, 0.0)])
def test_it_covers_new_seeds_and_new_examples(seeds: int, n: int, spread: float) -> None:
    generator = np.random.default_rng(4)
    outside = 0
    for _ in range(2_000):
        common, own = 0.4 * generator.normal(size=n), 0.2 * generator.normal(size=n)
        base, head = (
            level + spread * generator.normal(size=(seeds, 1)) + 0.4 * generator.normal(size=(seeds, n))
            for level in (common, common + own)
        )
        change = head.mean(axis=0) - base.mean(axis=0)
        found = difference(
            base.mean(axis=1).tolist(),
            head.mean(axis=1).tolist(),
            n=n,
            example_variance=float(change.var(ddof=1)) / n,
            example_df=n - 1,
        )
        outside += not found.low <= 0 <= found.high
    assert outside / 2_000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)
