"""Columns of numbers that make distances hard, and their counts over a grid, by numpy instead of an engine."""

import numpy as np

from ci_ml.stats.distances import Counted
from ci_ml.stats.grids import Grid

Numbers = np.ndarray


def counted(grid: Grid, values: Numbers) -> Counted:
    cells = grid.place(values)
    away = values - grid.center
    with np.errstate(over="ignore"):
        squares = float((away**2).sum())
    return Counted(
        grid=grid,
        counts=np.bincount(cells, minlength=grid.size),
        sums=np.bincount(cells, weights=away, minlength=grid.size),
        squares=squares,
        low=float(values.min()),
        high=float(values.max()),
    )


def zero_inflated(chance: np.random.Generator, n: int) -> Numbers:
    return np.where(chance.random(n) < 0.6, 0.0, chance.random(n) * 100)


def with_outliers(chance: np.random.Generator, n: int) -> Numbers:
    return np.concatenate([np.exp(2 * chance.normal(size=n - 5)), 1e9 * chance.random(5)])


def two_scales(chance: np.random.Generator, n: int) -> Numbers:
    return np.where(chance.random(n) < 0.5, chance.normal(size=n) * 1e-6, chance.normal(size=n) + 100)


def many_atoms(chance: np.random.Generator, n: int) -> Numbers:
    return np.where(chance.random(n) < 0.9, np.round(chance.random(n) * 300), chance.random(n) * 300)


COLUMNS = {
    "normal": lambda chance, n: chance.normal(size=n),
    "uniform": lambda chance, n: chance.random(n),
    "lognormal": lambda chance, n: np.exp(chance.normal(size=n)),
    "lognormal with outliers": with_outliers,
    "cauchy": lambda chance, n: chance.standard_cauchy(n),
    "pareto": lambda chance, n: chance.pareto(0.5, n),
    "zipf": lambda chance, n: np.minimum(chance.zipf(1.3, n), 10**15).astype(float),
    "zero-inflated": zero_inflated,
    "two scales": two_scales,
    "whole numbers": lambda chance, n: np.floor(chance.normal(size=n) * 1000),
    "few whole numbers": lambda chance, n: chance.poisson(3, n).astype(float),
    "prices": lambda chance, n: np.round(np.exp(chance.normal(size=n) * 1.5 + 2), 2),
    "many atoms": many_atoms,
    "constant": lambda chance, n: np.full(n, 3.25),
    "denormal": lambda chance, n: chance.integers(1, 10_000, n) * 5e-324,
    "huge": lambda chance, n: chance.normal(size=n) * 1e300,
}
