"""Distances over a grid are scipy's, within the error that they state themselves, on columns made to break that."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ci_ml.stats import distances, grids
from ci_ml.stats.distances import Counted
from ci_ml.stats.estimate import NoVariance, TooFew
from ci_ml.stats.grids import Grid
from tests.stats.columns import COLUMNS, Numbers, counted

# What rounding may add to a sum of so many numbers.
ROUNDING = 1e-9
# Numbers that are smaller have next to no digits.
DENORMAL = 1e-300


def placed(values: Numbers, chance: np.random.Generator) -> Grid:
    """A grid as the engine's counting places it: by a sample, then cut where that turned out too coarse."""
    sample = chance.choice(values, min(len(values), 10_000), replace=False)
    if len(np.unique(sample)) <= grids.MOST_VALUES // 2 and len(np.unique(values)) <= grids.MOST_VALUES:
        return grids.of_values(np.unique(values))
    grid = grids.of_sample(sample, float(values.min()), float(values.max()))
    for _ in range(3):
        counts = counted(grid, values).counts
        if not len(heavy := grids.heavy(grid, counts)):
            return grid
        cells = grid.place(values)
        found, many = np.unique(values[np.isin(cells, heavy)], return_counts=True)
        atoms = found[many >= grids.SHARE / 2 * len(values)]
        grid = grids.split(grid, counts, [(int(cell), np.sort(values[cells == cell])) for cell in heavy], atoms)
    return grid


def farthest(one: Numbers, other: Numbers) -> float:
    """Kolmogorov's distance of all values, as scipy's ks_2samp has it, which cannot be asked about a value or two."""
    every = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(side), every, "right") / len(side) for side in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def check(reference: Counted, current: Counted, one: Numbers, other: Numbers) -> None:
    """Both distances are where they say, and Kolmogorov's is as exact as it is promised to be."""
    ks = distances.kolmogorov_smirnov(reference, current)
    exact = farthest(one, other)
    assert ks.low - ROUNDING <= exact <= ks.high + ROUNDING
    assert ks.error <= grids.SHARE + 1 / len(one) + ROUNDING
    earth = distances.wasserstein(reference, current)
    scale = max(abs(one).max(), abs(other).max()) or 1.0
    moved = float(stats.wasserstein_distance(one / scale, other / scale)) * scale
    assert earth.low <= earth.value <= earth.high
    slack = ROUNDING * scale + DENORMAL
    assert earth.low - slack <= moved <= earth.high + slack


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("other", ["itself", "shifted", "stretched", "normal", "constant"])
def test_distances_are_scipys_within_their_error(name: str, other: str) -> None:
    chance = np.random.default_rng([len(name), len(other)])
    one, again = COLUMNS[name](chance, 40_000), COLUMNS[name](chance, 30_000)
    with np.errstate(all="ignore"):
        spread = float(np.quantile(one, 0.75) - np.quantile(one, 0.25)) or 1.0
    second = {
        "itself": again,
        "shifted": again + 0.05 * spread,
        "stretched": again * 1.1,
        "normal": chance.normal(size=30_000),
        "constant": np.full(30_000, float(np.median(one))),
    }[other]
    grid = placed(one, chance)
    if name == "huge":
        with pytest.raises(NoVariance):
            distances.normed(
                distances.wasserstein(counted(grid, one), counted(grid, second)), counted(grid, one).deviation
            )
        return
    check(counted(grid, one), counted(grid, second), one, second)


SMALL = st.lists(
    st.one_of(
        st.integers(-5, 5).map(float),
        st.floats(-1e9, 1e9, allow_nan=False),
        st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1.0, math.nextafter(1.0, 2.0), 1e9, -1e9]),
    ),
    min_size=1,
    max_size=60,
).map(lambda values: np.array(values, dtype=float) + 0.0)


@settings(max_examples=300)
@given(SMALL, SMALL)
@example(np.array([1.0]), np.array([math.nextafter(1.0, 2.0)]))
@example(np.array([0.0, 0.0]), np.array([0.0]))
def test_of_few_values_kolmogorovs_distance_is_exact(one: Numbers, other: Numbers) -> None:
    """Whatever the other side holds: between two values of the reference, it is at most what it is at the ends."""
    grid = grids.of_values(np.unique(one))
    reference, current = counted(grid, one), counted(grid, other)
    found = distances.kolmogorov_smirnov(reference, current)
    assert found.error == 0
    assert found.value == pytest.approx(farthest(one, other), abs=1e-12)
    check(reference, current, one, other)


@settings(max_examples=100)
@given(SMALL, SMALL, st.integers(0, 3))
def test_any_grid_tells_how_wrong_it_may_be(one: Numbers, other: Numbers, seed: int) -> None:
    sample = np.random.default_rng(seed).choice(one, max(1, len(one) // 3))
    grid = grids.of_sample(sample, float(one.min()), float(one.max()))
    reference, current = counted(grid, one), counted(grid, other)
    ks = distances.kolmogorov_smirnov(reference, current)
    exact = farthest(one, other)
    assert ks.low - ROUNDING <= exact <= ks.high + ROUNDING
    earth = distances.wasserstein(reference, current)
    moved = float(stats.wasserstein_distance(one, other))
    slack = ROUNDING * max(abs(one).max(), abs(other).max()) + DENORMAL
    assert earth.low - slack <= moved <= earth.high + slack


def test_kolmogorovs_distance_is_scipys() -> None:
    chance = np.random.default_rng(8)
    one, other = np.round(chance.normal(size=400), 1), np.round(chance.normal(size=300), 1)
    assert farthest(one, other) == pytest.approx(float(stats.ks_2samp(one, other).statistic))


def test_disjoint_sides_are_as_far_apart_as_can_be() -> None:
    chance = np.random.default_rng(5)
    one, other = chance.random(30_000), chance.random(40_000) + 10
    grid = placed(one, chance)
    reference, current = counted(grid, one), counted(grid, other)
    assert distances.kolmogorov_smirnov(reference, current).value == 1
    earth = distances.wasserstein(reference, current)
    assert earth.value == pytest.approx(float(stats.wasserstein_distance(one, other)), rel=1e-9)
    assert earth.error < 1e-9


def test_mean_and_deviation_keep_their_digits_far_from_zero() -> None:
    chance = np.random.default_rng(6)
    values = 1e9 + chance.normal(size=50_000)
    found = counted(placed(values, chance), values)
    assert found.mean == pytest.approx(float(values.mean()), rel=1e-15)
    assert found.deviation == pytest.approx(float(values.std(ddof=1)), rel=1e-6)


def test_a_reference_of_one_value_has_no_unit() -> None:
    grid = grids.of_values(np.array([3.0]))
    same = counted(grid, np.full(50, 3.0))
    assert same.deviation == 0
    with pytest.raises(NoVariance, match="one value only"):
        distances.normed(distances.wasserstein(same, same), same.deviation)


def test_sides_over_different_grids_are_refused() -> None:
    one = counted(grids.of_values(np.array([1.0])), np.ones(3))
    other = counted(grids.of_values(np.array([2.0])), np.ones(3))
    with pytest.raises(ValueError, match="same grid"):
        distances.kolmogorov_smirnov(one, other)


def test_a_side_without_numbers_is_refused() -> None:
    grid = grids.of_values(np.array([1.0]))
    one = counted(grid, np.ones(3))
    empty = Counted(grid=grid, counts=one.counts * 0, sums=one.sums * 0, squares=0.0, low=0.0, high=0.0)
    with pytest.raises(TooFew):
        distances.wasserstein(one, empty)


def test_bins_are_tenths_and_a_shared_value_has_its_own() -> None:
    chance = np.random.default_rng(7)
    values = COLUMNS["zero-inflated"](chance, 100_000)
    reference = counted(placed(values, chance), values)
    found = distances.binned(reference, distances.bins(reference))
    assert found.max() == (values == 0).sum()
    others = sorted(found)[:-1]
    assert [count for count in others if count] == pytest.approx([(values != 0).sum() / 10] * 10, rel=0.02)
