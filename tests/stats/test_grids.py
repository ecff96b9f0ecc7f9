"""Grids: every number has one cell, cells follow the numbers' order, and none is too heavy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats import grids
from ci_ml.stats.grids import Grid
from tests.stats.columns import COLUMNS, counted

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=40), st.lists(FINITE, min_size=1, max_size=40))
def test_cells_are_in_the_order_of_the_numbers(sample: list[float], values: list[float]) -> None:
    grid = grids.of_sample(np.array(sample), min(sample), max(sample))
    ordered = np.sort(np.array(values + sample))
    cells = grid.place(ordered)
    assert (np.diff(cells) >= 0).all()
    assert cells.min() >= 0
    assert cells.max() < grid.size


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "huge"])
def test_numbers_lie_between_the_ends_of_their_cell(name: str) -> None:
    chance = np.random.default_rng(3)
    values = COLUMNS[name](chance, 20_000)
    grid = grids.of_sample(values[:5_000], float(values.min()), float(values.max()))
    left, right = grid.edges
    cells = grid.place(values)
    slack = 1e-12 * np.maximum(abs(values), float(np.median(abs(values))))
    assert (left[cells] - slack <= values).all()
    assert (values <= right[cells] + slack).all()


@pytest.mark.parametrize("name", COLUMNS)
def test_no_cell_but_an_atoms_is_heavy_once_all_values_are_known(name: str) -> None:
    values = COLUMNS[name](np.random.default_rng(4), 15_000)
    grid = grids.of_counted(*np.unique(values, return_counts=True))
    counts = counted(grid, values).counts
    assert len(grids.heavy(grid, counts)) == 0
    assert counts.sum() == len(values)


def test_an_atom_is_found_among_other_values() -> None:
    chance = np.random.default_rng(5)
    values = COLUMNS["zero-inflated"](chance, 50_000)
    grid = grids.of_sample(values[:10_000], float(values.min()), float(values.max()))
    at_zero = int(grid.place(np.array([0.0]))[0])
    assert grid.atoms[at_zero]
    assert grid.place(np.array([math.nextafter(0, 1)]))[0] == at_zero + 1


def test_a_whole_column_of_one_value_has_three_cells() -> None:
    grid = grids.of_sample(np.full(100, 2.5), 2.5, 2.5)
    assert grid.place(np.array([2.0, 2.5, 3.0])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cuts": (2.0, 1.0), "closed": (False, False), "cells": (1, 1, 1)},
        {"cuts": (1.0, 1.0), "closed": (True, False), "cells": (1, 1, 1)},
        {"cuts": (math.nan,), "closed": (False,), "cells": (1, 1)},
        {"cuts": (1.0,), "closed": (False,), "cells": (1, 2)},
        {"cuts": (1.0,), "closed": (False,), "cells": (1,)},
    ],
)
def test_what_is_no_grid_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid(**wrong, spacing=("even",) * len(wrong["cells"]), center=0.0)


def test_no_grid_without_a_sample() -> None:
    with pytest.raises(ValueError, match="empty"):
        grids.of_sample(np.array([]), 0, 1)
