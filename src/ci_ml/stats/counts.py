"""Counts of (label, base prediction, head prediction): all that classification metrics need. Layer: stats."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats.estimate import at_least
from ci_ml.stats.scores import Array, Side

Integers = NDArray[np.int64]

# Up to this many cells times classes, adding up by a matrix product is faster than by sorting.
_SMALL = 4_096


@dataclass(frozen=True, eq=False)
class Counts:
    """The occupied cells of the K x K x K table, sorted: label, base and head prediction (0..K-1), number of examples.

    Arrays have one entry per cell. Which order, or how many rows, the cells came in makes no difference.
    """

    classes: int
    label: Integers
    base: Integers
    head: Integers
    count: Array

    @classmethod
    def of_cells(cls, cells: Iterable[tuple[int, int, int, int]], classes: int) -> Self:
        """From (label, base prediction, head prediction, number of examples); equal cells are added up."""
        table = np.array(list(cells), dtype=np.int64).reshape(-1, 4)
        if classes < 2:
            raise ValueError(f"{classes} classes: a classification has 2 or more")
        if table.size and (table.min() < 0 or table[:, :3].max() >= classes):
            raise ValueError(f"a cell lies outside the {classes} classes, or its count is negative")
        keys, where = np.unique((table[:, 0] * classes + table[:, 1]) * classes + table[:, 2], return_inverse=True)
        count = np.bincount(where, weights=table[:, 3], minlength=len(keys)).astype(float)
        keys, count = keys[count > 0], count[count > 0]
        at_least("examples", float(count.sum()))
        return cls(classes, keys // classes**2, keys // classes % classes, keys % classes, count)

    @classmethod
    def of_rows(cls, label: ArrayLike, base: ArrayLike, head: ArrayLike, classes: int) -> Self:
        """From one entry per example (shape: n each)."""
        columns = [np.asarray(part).astype(np.int64) for part in (label, base, head)]
        if columns[0].size and (min(map(np.min, columns)) < 0 or max(map(np.max, columns)) >= classes):
            raise ValueError(f"a row lies outside the {classes} classes")
        keys, count = np.unique((columns[0] * classes + columns[1]) * classes + columns[2], return_counts=True)
        axes = (keys // classes**2, keys // classes % classes, keys % classes, count)
        return cls.of_cells(zip(*(axis.tolist() for axis in axes), strict=True), classes)

    @property
    def n(self) -> int:
        """The number of examples."""
        return int(self.count.sum())

    @property
    def changed(self) -> int:
        """How many examples the sides predict differently."""
        return int(self.count[self.base != self.head].sum())

    def one_vs_rest(self, which: int) -> "Counts":
        """The table of two classes, in which 1 stands for the class that is meant."""
        if not 0 <= which < self.classes:
            raise ValueError(f"class {which} is not one of 0..{self.classes - 1}")
        parts = [(part == which).astype(np.int64) for part in (self.label, self.base, self.head)]
        cells = zip(*(part.tolist() for part in parts), self.count.astype(np.int64).tolist(), strict=True)
        return Counts.of_cells(cells, 2)

    def mirrored(self) -> "Counts":
        """The same table with base and head exchanged."""
        cells = zip(
            *(part.tolist() for part in (self.label, self.head, self.base, self.count.astype(np.int64))), strict=True
        )
        return Counts.of_cells(cells, self.classes)

    def side(self, predicted: Integers, count: Array | None = None) -> Side:
        """Hits, labels and predictions per class of one side; `count` (shape: (..., cells)) replaces the table's."""
        count = self.count if count is None else count
        return Side(
            hits=_per_class(np.where(self.label == predicted, self.label, -1), count, self.classes),
            labels=_per_class(self.label, count, self.classes),
            predictions=_per_class(predicted, count, self.classes),
            n=count.sum(axis=-1),
        )


def _per_class(group: Integers, count: Array, classes: int) -> Array:
    """Sums of `count` (shape: (..., cells)) by group; group -1 is left out. Shape: (..., classes)."""
    if len(group) * classes <= _SMALL:
        belongs = (group[:, None] == np.arange(classes)).astype(float)
        # The class is the slow axis in memory: sums over the few classes are then sums of long columns.
        return np.asarray((belongs.T @ count.T).T)
    order = np.argsort(group, kind="stable")
    order = order[np.searchsorted(group[order], 0) :]
    totals = np.zeros((*count.shape[:-1], classes))
    if len(order):
        present, starts = np.unique(group[order], return_index=True)
        totals[..., present] = np.add.reduceat(count[..., order], starts, axis=-1)
    return totals
