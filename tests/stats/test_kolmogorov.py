"""The distribution of Kolmogorov's distance, against scipy's."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from ci_ml.stats import kolmogorov


@pytest.mark.thorough
@pytest.mark.parametrize("n", [1, 2, 3, 7, 50, 140, 141, 1_000, 20_000, 20_001, 500_000, 10**9])
def test_is_scipys_at_every_distance(n: int) -> None:
    for z in np.linspace(0.15, 3.4, 40):
        if (distance := float(z / math.sqrt(n))) < 1:
            expected = float(stats.kstwo.sf(distance, n))
            # Beyond the sizes that are summed, a limit takes over, and nobody reads the digits of 1e-8.
            close = 5e-3 if n > 20_000 and expected < 0.03 else 1e-5
            assert kolmogorov.exceeded(distance, n) == pytest.approx(expected, rel=close, abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(20, 30), (500, 450), (10_000, 200), (100_000, 100_000)])
def test_two_samples_are_worth_as_much_as_scipy_says(one: int, other: int) -> None:
    chance = np.random.default_rng(one)
    first, second = chance.normal(size=one), chance.normal(size=other) + 0.02
    expected = stats.ks_2samp(first, second, method="asymp")
    found = kolmogorov.p_value(float(expected.statistic), one, other)
    assert found == pytest.approx(float(expected.pvalue), rel=1e-3)


def test_never_leaves_what_a_probability_may_be() -> None:
    for n in (1, 5, 139, 142, 10**6):
        found = [kolmogorov.exceeded(float(distance), n) for distance in np.linspace(0, 1, 200)]
        assert all(0 <= p <= 1 for p in found)
        assert all(one >= other - 1e-6 for one, other in itertools.pairwise(found))
        assert (found[0], found[-1]) == (1.0, 0.0)


@pytest.mark.parametrize(("distance", "one", "other"), [(1.1, 5, 5), (-0.1, 5, 5), (math.nan, 5, 5), (0.5, 0, 5)])
def test_refuses_what_is_no_distance(distance: float, one: int, other: int) -> None:
    with pytest.raises(ValueError, match="distance of distribution functions"):
        kolmogorov.p_value(distance, one, other)
