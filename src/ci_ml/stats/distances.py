"""How far apart two distributions of numbers are, from counts over the cells of one grid. Layer: stats.

Each answer says how much of it the grid may have cost. Let F and G be the distribution functions and D = F - G, all
three known at the ends of every cell. Inside a cell F rises by at most its share p there, and G by at most q, so that

    left - q <= D <= left + p,   right - p <= D <= right + q;      right - left = p - q

which are the same limits: D leaves the range of its ends by at most min(p, q).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ci_ml.stats import kolmogorov
from ci_ml.stats.estimate import NoVariance, TooFew
from ci_ml.stats.grids import Grid

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """The numbers of one side over a grid: how many are in each cell, and the sums of their distances from its center.

    `squares` is the sum of all squared distances, `low` and `high` the smallest and the largest number.
    """

    grid: Grid
    counts: NDArray[np.int64]
    sums: Numbers
    squares: float
    low: float
    high: float

    @cached_property
    def n(self) -> int:
        """How many numbers there are."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Their mean; infinite where sums are too large for a number."""
        return self.grid.center + float(self.sums.sum()) / self.n

    @property
    def deviation(self) -> float:
        """Their standard deviation, with n - 1; NaN for a single one."""
        if self.n < 2:
            return math.nan
        if self.low == self.high:
            return 0.0
        total = float(self.sums.sum())
        return math.sqrt(max(self.squares - total * total / self.n, 0.0) / (self.n - 1))

    @property
    def shares(self) -> Numbers:
        """The share of the numbers in each cell (shape: cells)."""
        return self.counts / self.n


@dataclass(frozen=True, kw_only=True)
class Distance:
    """A distance, and the range in which the one without a grid lies."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """How far the exact distance may be from this one."""
        return max(self.high - self.value, self.value - self.low)


def _check(reference: Counted, current: Counted) -> None:
    if reference.grid != current.grid:
        raise ValueError("both sides are counted over the same grid")
    if min(reference.n, current.n) < 1:
        raise TooFew("a side without any numbers has no distribution")


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """D at the ends of every cell, and the shares of both sides in it (shape: cells each)."""

    left: Numbers
    right: Numbers
    p: Numbers
    q: Numbers

    @classmethod
    def of(cls, reference: Counted, current: Counted) -> "_Difference":
        # Counts are added up, not shares: the last value is 0, exactly.
        right = np.cumsum(reference.counts) / reference.n - np.cumsum(current.counts) / current.n
        left = np.concatenate([[0.0], right[:-1]])
        return cls(left=left, right=right, p=reference.shares, q=current.shares)


def kolmogorov_smirnov(reference: Counted, current: Counted) -> Distance:
    """The largest difference of the distribution functions.

    `value` is the largest at a cut, which is `low`, so that a p-value of it never claims too much.
    """
    _check(reference, current)
    found = _Difference.of(reference, current)
    at_cuts = float(np.abs(found.right).max())
    # An atom's cell holds one value, so there is nothing inside.
    inside = np.where(reference.grid.atoms, 0.0, np.minimum(found.p, found.q))
    outer = np.maximum(np.abs(found.left), np.abs(found.right)) + inside
    outer = np.minimum(outer, 1.0)
    return Distance(value=at_cuts, low=at_cuts, high=max(at_cuts, float(outer.max())))


def chance(reference: Counted, current: Counted, distance: Distance) -> float:
    """The p-value of the distance between two distribution functions; too large where values repeat."""
    return kolmogorov.p_value(distance.value, reference.n, current.n)


def wasserstein(reference: Counted, current: Counted) -> Distance:
    """The earth mover's distance, the area between the distribution functions, in the column's own unit.

    In a cell where D keeps its sign, the area follows from counts and sums without any loss. Where it may change, the
    area is at least what the sums leave of it, and at most that and twice what lies beyond the axis.
    """
    _check(reference, current)
    found = _Difference.of(reference, current)
    left, right = ends(reference, current)
    width = right - left
    center = reference.grid.center
    # The integral of F over a cell is its value at the left end times the width, and every number's way to the right.
    ways = [(side.counts * (right - center) - side.sums) / side.n for side in (reference, current)]
    with np.errstate(invalid="ignore", over="ignore"):
        area = np.where(width > 0, found.left * width + ways[0] - ways[1], 0.0)
        below = np.minimum(np.maximum(0.0, found.q - found.left), np.maximum(0.0, found.p - found.right))
        above = np.minimum(np.maximum(0.0, found.p + found.left), np.maximum(0.0, found.q + found.right))
        low = np.abs(area)
        high = np.minimum(area + 2 * width * below, -area + 2 * width * above)
        drawn = _straight(found.left, found.right) * width
    high = np.where(width > 0, np.maximum(low, high), 0.0)
    value = np.clip(np.where(width > 0, drawn, 0.0), low, high)
    total = Distance(value=float(value.sum()), low=float(low.sum()), high=float(high.sum()))
    if not math.isfinite(total.high):
        raise NoVariance("the numbers lie too far apart for their distances to be added up")
    return total


def _straight(left: Numbers, right: Numbers) -> Numbers:
    """The mean of |D| over a cell if D went straight from one end to the other."""
    crossing = left * right < 0
    span = np.where(crossing, np.abs(left) + np.abs(right), 1.0)
    return np.where(crossing, (left * left + right * right) / (2 * span), (np.abs(left) + np.abs(right)) / 2)


def ends(reference: Counted, current: Counted) -> tuple[Numbers, Numbers]:
    """The ends of every cell (shape: cells each), the outermost as far as there are numbers on either side."""
    left, right = reference.grid.edges
    low, high = min(reference.low, current.low), max(reference.high, current.high)
    left, right = left.copy(), right.copy()
    left[0], right[-1] = min(low, right[0]), max(high, left[-1])
    return left, right


def normed(distance: Distance, deviation: float) -> Distance:
    """A distance in standard deviations of the reference. Raises NoVariance where that is 0."""
    if not deviation > 0:
        raise NoVariance("the reference holds one value only, so there is no standard deviation to measure with")
    if not math.isfinite(deviation):
        raise NoVariance("the reference's numbers are too large for their squares to be added up")
    return Distance(value=distance.value / deviation, low=distance.low / deviation, high=distance.high / deviation)


# Where the reference is cut for what needs bins: at its deciles, and around every value that so much of it shares.
BINS = 10
OWN = 0.05


def bins(reference: Counted) -> NDArray[np.int64]:
    """The bin of each cell (shape: cells): tenths of the reference, and values that 5 % share by themselves.

    A cell is in the tenth in which its middle example is, so bins are as even as cells are small.
    """
    shares = reference.shares
    own = reference.grid.atoms & (shares >= OWN)
    rest = np.where(own, 0, reference.counts)
    middle = np.cumsum(rest) - rest / 2
    tenth = np.floor(middle / max(rest.sum(), 1) * BINS).clip(0, BINS - 1).astype(np.int64)
    # An atom parts what is below it from what is above: bins follow each other in the order of their values.
    change = np.concatenate([[False], (tenth[1:] != tenth[:-1]) | own[1:] | own[:-1]])
    return np.cumsum(change)


def binned(counted: Counted, which: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts by bin (shape: bins)."""
    return np.bincount(which, weights=counted.counts, minlength=int(which.max()) + 1).astype(np.int64)
