"""Where the values of a column are counted, so that little is lost: a grid of cells, placed by a sample. Layer: stats.

A cell is everything between two cuts. Between cuts there may be many cells of one formula: one subtraction, one
multiplication and one `floor`, or three square roots in the tails, all of which IEEE 754 defines to the last bit and
none of which ever turns an order around. So the same number is in the same cell on every engine, and a cell is an
interval, whatever rounding does to its ends. A value that many rows share is an atom: a cell of its own, between a cut
just below and a cut just above it.

Two distribution functions whose values are known at every cut differ inside a cell from what they differ by at its ends
by at most the smaller of both sides' shares in it (docs/drift.md). The grid is placed such that no cell but an atom
holds more than `SHARE` of the reference, which bounds that for any other side.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
# Equal widths; or ever wider ones upwards, or downwards, from where most of the values are.
Spacing = Literal["even", "up", "down"]

# The largest share of the reference in a cell that is no atom: the largest error of a distance of two distributions.
SHARE = 0.001
# A column with at most so many different values has a cell for each.
MOST_VALUES = 2_000
# More intervals than this are looked up by sorting, fewer by a tree of comparisons.
MOST_BRANCHES = 64

# What formulas aim at, so that chance seldom makes a cell heavier than it may be.
_AIM = 0.0007
_MOST_CELLS = 4_096
_TAIL_CELLS = 48
# Of a value that many share, so much of a sample says it for sure.
_SHARED = 0.002
_TAIL = 0.002
_MOST_ATOMS = 16
# Quantiles between which cells are even, fewest first: what is simple is fast.
_BREAKS: tuple[tuple[float, ...], ...] = (
    (_TAIL, 1 - _TAIL),
    (_TAIL, 0.05, 0.95, 1 - _TAIL),
    (_TAIL, 0.02, 0.1, 0.5, 0.9, 0.98, 1 - _TAIL),
    (_TAIL, 0.01, *(float(step) / 16 for step in range(1, 16)), 0.99, 1 - _TAIL),
)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells by the cuts between intervals, from the lowest; the outermost intervals reach to infinity.

    `closed` says of each cut whether its value itself lies below it; an atom's value is there twice, first not closed,
    then closed. `cells` and `spacing` belong to the intervals, one more than there are cuts. Sums are taken of
    distances from `center`, so that they keep their digits.
    """

    cuts: tuple[float, ...]
    closed: tuple[bool, ...]
    cells: tuple[int, ...]
    spacing: tuple[Spacing, ...]
    center: float

    def __post_init__(self) -> None:
        count = len(self.cuts) + 1
        if not (len(self.closed) == count - 1 and len(self.cells) == len(self.spacing) == count):
            raise ValueError("a grid has an interval more than it has cuts")
        marks = list(zip(self.cuts, self.closed, strict=True))
        if not all(map(math.isfinite, (*self.cuts, self.center))) or any(
            one >= other for one, other in itertools.pairwise(marks)
        ):
            raise ValueError("the cuts of a grid are finite and increase")
        if count and (self.cells[0] != 1 or self.cells[-1] != 1 or min(self.cells) < 1):
            raise ValueError("every interval of a grid has cells, and the outermost have one")

    @property
    def explicit(self) -> bool:
        """Whether every interval is one cell: then cuts say it all."""
        return max(self.cells) == 1

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The number of the first cell of every interval."""
        return tuple(int(value) for value in np.concatenate([[0], np.cumsum(self.cells)[:-1]]))

    @property
    def size(self) -> int:
        """How many cells there are."""
        return sum(self.cells)

    def width(self, interval: int) -> float:
        """How wide an inner interval is."""
        return self.cuts[interval] - self.cuts[interval - 1]

    @cached_property
    def atoms(self) -> NDArray[np.bool_]:
        """Which cells hold a single value (shape: cells)."""
        found = np.zeros(self.size, dtype=bool)
        found[np.array(self.offsets[1:-1], dtype=np.int64)] = np.diff(np.array(self.cuts)) == 0
        return found

    @cached_property
    def edges(self) -> tuple[Numbers, Numbers]:
        """The ends of every cell (shape: cells each); those of the outermost are infinite."""
        first = np.array(self.offsets)
        ends = np.array([-math.inf, *self.cuts, math.inf])
        left, right = np.empty(self.size), np.empty(self.size)
        left[first], right[first] = ends[:-1], ends[1:]
        for interval in [at for at, count in enumerate(self.cells) if count > 1]:
            here = slice(self.offsets[interval], self.offsets[interval] + self.cells[interval])
            inner = self._ends(interval)
            left[here], right[here] = inner[:-1], inner[1:]
        return left, right

    def _ends(self, interval: int) -> Numbers:
        left, right, count = self.cuts[interval - 1], self.cuts[interval], self.cells[interval]
        steps = np.arange(count + 1) / count
        if self.spacing[interval] == "up":
            ends = left + (right - left) * steps**8
        elif self.spacing[interval] == "down":
            ends = right - (right - left) * (1 - steps) ** 8
        else:
            ends = left + (right - left) * steps
        ends[0], ends[-1] = left, right
        return np.clip(ends, left, right)

    def place(self, values: Numbers) -> Places:
        """The cell of every finite value (shape: values), as engines compute it."""
        cuts, closed = np.array(self.cuts), np.array(self.closed, dtype=bool)
        interval = np.searchsorted(cuts[~closed], values, "right") + np.searchsorted(cuts[closed], values, "left")
        found: Places = np.array(self.offsets, dtype=np.int64)[interval]
        for at in [at for at, count in enumerate(self.cells) if count > 1]:
            here = interval == at
            found[here] += self._inside(at, values[here])
        return found

    def _inside(self, interval: int, values: Numbers) -> Places:
        count, width, spacing = self.cells[interval], self.width(interval), self.spacing[interval]
        left, right = self.cuts[interval - 1], self.cuts[interval]
        if spacing == "even":
            even: Places = np.minimum(np.floor((values - left) * self.scale(interval)), count - 1).astype(np.int64)
            return even
        away = (values - left if spacing == "up" else right - values) / width
        steps: Places = np.minimum(np.floor(np.sqrt(np.sqrt(np.sqrt(away))) * count), count - 1).astype(np.int64)
        return steps if spacing == "up" else count - 1 - steps

    def scale(self, interval: int) -> float:
        """Cells per unit of an even interval."""
        return self.cells[interval] / self.width(interval)


def of_values(values: Numbers) -> Grid:
    """A cell for every value (shape: values, all different, increasing), and one for whatever lies between two."""
    return _grid([mark for value in values for mark in ((float(value), False), (float(value), True))], values)


def of_counted(values: Numbers, counts: Places, share: float = SHARE) -> Grid:
    """Cuts that leave no more than `share` of what was counted between two, from different values that increase.

    Values that alone are more than half of that are atoms; of few values, each one is.
    """
    if len(values) <= MOST_VALUES:
        return of_values(values)
    most = max(share * counts.sum(), 1.0)
    marks: list[tuple[float, bool]] = []
    held = 0
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if count > most / 2:
            marks += [(value, False), (value, True)]
            held = 0
        elif held + count > most:
            marks.append((value, False))
            held = count
        else:
            held += count
    return _grid(marks, values)


def _grid(marks: Sequence[tuple[float, bool]], sample: Numbers) -> Grid:
    ordered = sorted(set(marks))
    count = len(ordered) + 1
    even: Spacing = "even"
    return Grid(
        cuts=tuple(value for value, _ in ordered),
        closed=tuple(closed for _, closed in ordered),
        cells=(1,) * count,
        spacing=(even,) * count,
        center=_center(sample),
    )


def _center(sample: Numbers) -> float:
    middle = float(np.sort(sample)[len(sample) // 2]) if len(sample) else 0.0
    return middle if math.isfinite(middle) else 0.0


def of_sample(sample: Numbers, low: float, high: float) -> Grid:
    """Cells of formulas, placed by a sample of the reference, from the smallest to the largest value of it all.

    The sample only says where cells are; what is in them is counted of every row, and `heavy` says whether any is too
    heavy for the promise. Raises ValueError for an empty sample.
    """
    if not len(sample):
        raise ValueError("a grid is placed by a sample, which is empty")
    ordered = np.sort(sample)
    values, counts = np.unique(ordered, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:_MOST_ATOMS]
    atoms = values[np.sort(common[counts[common] >= max(_SHARED * len(ordered), 5)])]
    rest = ordered[~np.isin(ordered, atoms)]
    found: list[Grid] = []
    for breaks in _BREAKS:
        inner = np.quantile(rest, breaks, method="lower") if len(rest) else np.array([])
        found.append(_formulas(rest, len(ordered), _marks(inner, atoms, low, high), ordered))
        if found[-1].size <= _MOST_CELLS:
            return found[-1]
    fewest = min(found, key=lambda grid: grid.size)
    return replace(fewest, cells=tuple(min(count, _MOST_CELLS) for count in fewest.cells))


def _marks(inner: Numbers, atoms: Numbers, low: float, high: float) -> list[tuple[float, bool]]:
    """The ends of the reference, where most of it lies, and both sides of every atom."""
    marks = {(low, False), (high, True)} | {(float(value), False) for value in inner if low < value < high}
    return sorted(marks | {(float(value), closed) for value in atoms for closed in (False, True)})


def _formulas(rest: Numbers, n: int, marks: Sequence[tuple[float, bool]], sample: Numbers) -> Grid:
    bounds = [value for value, _ in marks]
    cells: list[int] = [1]
    spacing: list[Spacing] = ["even"]
    core = np.quantile(rest, (_TAIL, 1 - _TAIL), method="lower") if len(rest) else (math.inf, -math.inf)
    for left, right in itertools.pairwise(bounds):
        kind: Spacing = "down" if right <= core[0] else "up" if left >= core[1] else "even"
        inside = rest[(rest >= left) & (rest < right)]
        count = _TAIL_CELLS if kind != "even" else _needed(inside, n, left, right)
        usable = right > left and math.isfinite((right - left) * 2) and math.isfinite(_MOST_CELLS / (right - left))
        cells.append(count if usable else 1)
        spacing.append(kind if usable else "even")
    return Grid(
        cuts=tuple(bounds),
        closed=tuple(closed for _, closed in marks),
        cells=(*cells, 1),
        spacing=(*spacing, "even"),
        center=_center(sample),
    )


def _needed(inside: Numbers, n: int, left: float, right: float) -> int:
    """How many even cells leave none too heavy, where the sample is densest."""
    if len(inside) < 2 or right <= left:
        return 1
    blocks = min(8, len(inside) // 50 + 1)
    ends = np.concatenate([[left], np.quantile(inside, np.arange(1, blocks) / blocks), [right]])
    widths = np.diff(ends)
    if widths.min() <= 0:
        return _MOST_CELLS
    densest = len(inside) / blocks / n / float(widths.min())
    needed = densest * (right - left) / _AIM
    return max(1, math.ceil(needed)) if needed < 16 * _MOST_CELLS else 16 * _MOST_CELLS


def heavy(grid: Grid, counts: Places) -> Places:
    """The cells that hold more of the reference than the promise allows (shape: so many)."""
    most = max(SHARE * counts.sum(), 1.0)
    return np.flatnonzero((counts > most) & ~grid.atoms)


def split(grid: Grid, counts: Places, samples: Sequence[tuple[int, Numbers]], atoms: Numbers) -> Grid:
    """The same cells as cuts, the heavy ones cut further at quantiles of samples from inside; `atoms` by themselves.

    `samples` are heavy cells with sorted values that are in them. Neighbours that are light together become one, but
    not in the tails, where cells are wide.
    """
    lefts, rights = grid.edges
    marks = set(zip(grid.cuts, grid.closed, strict=True))
    most, held = max(SHARE * counts.sum(), 1.0), 0
    tails = np.repeat([kind != "even" for kind in grid.spacing], grid.cells)
    for left, count, tail in zip(lefts[1:].tolist(), counts[1:].tolist(), tails[1:].tolist(), strict=True):
        if held + count > most / 2 or tail:
            marks.add((left, False))
            held = 0
        held += count
    for cell, values in samples:
        pieces = math.ceil(4 * counts[cell] / most)
        inner = np.quantile(values, np.arange(1, pieces) / pieces, method="lower") if len(values) else np.array([])
        ends = np.array([end for end in (lefts[cell], rights[cell]) if math.isfinite(end)])
        marks |= {(float(value), False) for value in np.concatenate([inner, ends])}
    marks |= {(float(value), closed) for value in atoms for closed in (False, True)}
    return _grid(sorted(marks), np.array([grid.center]))
