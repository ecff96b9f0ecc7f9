"""False alarms of drift: of 500 pairs of tables that are alike, at most the stated share has any drifted column."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from ci_ml.core import drifting
from ci_ml.core.drifts import DriftConfig
from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import ColumnProfile, Profile
from ci_ml.stats import grids, separation
from tests.stats.columns import COLUMNS, counted

pytestmark = pytest.mark.thorough

PAIRS = 500
ALPHA = 0.05
# Three standard errors of the simulation.
LIMIT = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / PAIRS)

NUMBERS = ("normal", "lognormal", "zero-inflated", "few whole numbers", "prices", "cauchy")


def tables(chance: np.random.Generator, n: int, m: int) -> tuple[Profile, Profile]:
    """Two tables of one distribution: numbers of several kinds, categories even and uneven, some of them missing."""
    sides: tuple[dict[str, ColumnProfile], dict[str, ColumnProfile]] = ({}, {})
    for name in NUMBERS:
        values = [COLUMNS[name](chance, size) for size in (n, m)]
        missing = [int(chance.binomial(size, 0.1)) for size in (n, m)]
        grid = grids.of_counted(*np.unique(values[0][missing[0] :], return_counts=True))
        for side, all_, gone in zip(sides, values, missing, strict=True):
            side[name] = ColumnProfile(
                name=name, kind=Kind.NUMERIC, type="x", rows=len(all_), missing=gone, values=counted(grid, all_[gone:])
            )
    for name, weights in {"even": np.ones(6), "uneven": 1 / np.arange(1, 60) ** 1.5, "truth": [0.03, 0.97]}.items():
        shares = np.array(weights) / np.sum(weights)
        for side, size in zip(sides, (n, m), strict=True):
            found = chance.multinomial(size, shares)
            side[name] = ColumnProfile(
                name=name,
                kind=Kind.CATEGORICAL,
                type="x",
                rows=size,
                values={f"k{at}": int(count) for at, count in enumerate(found) if count},
            )
    return Profile(name="one", rows=n, columns=sides[0]), Profile(name="other", rows=m, columns=sides[1])


def alarms(n: int, m: int, config: DriftConfig) -> float:
    chance = np.random.default_rng([n, m])
    drifted = 0
    for _ in range(PAIRS):
        found = drifting.judge(*tables(chance, n, m), config)
        assert not found.unknown
        drifted += bool(found.drifted)
    return drifted / PAIRS


@pytest.mark.parametrize(("n", "m"), [(60, 60), (300, 2_000), (2_000, 300)])
def test_tables_that_are_alike_seldom_drift(n: int, m: int) -> None:
    assert alarms(n, m, DriftConfig()) <= LIMIT


@pytest.mark.parametrize(("n", "m"), [(100, 100), (2_000, 2_000)])
def test_significance_alone_keeps_what_it_promises(n: int, m: int) -> None:
    """With limits of 0 only the tests stand between chance and an alarm."""
    none = {"wasserstein": 0, "jensen_shannon": 0, "missing": 0, "new_categories": 0}
    assert alarms(n, m, DriftConfig.model_validate({"limits": none})) <= LIMIT


def classified(make: Callable[[np.random.Generator, int], np.ndarray], n: int) -> float:
    chance = np.random.default_rng(n)
    second = np.arange(2 * n) >= n
    found = [
        separation.separation(make(chance, 2 * n), second, np.zeros(4, dtype=np.int64), seed).p_value <= ALPHA
        for seed in range(PAIRS)
    ]
    return sum(found) / PAIRS


@pytest.mark.parametrize("n", [40, 200, 1_000])
def test_a_classifier_cries_wolf_no_more_often_than_stated(n: int) -> None:
    assert classified(lambda chance, size: chance.normal(size=(size, 4)), n) <= LIMIT
    assert classified(lambda chance, size: (chance.random((size, 4)) < 0.1).astype(float), n) <= LIMIT
