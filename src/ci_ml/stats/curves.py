"""Which points of a ROC or a precision-recall curve are drawn: all are on the exact curve. Layer: stats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counted = NDArray[np.int64]

# How many points of a curve are kept at most.
MOST = 200


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How many examples, and how many of them positive (shape: steps), score at or above ever lower thresholds.

    A step is all that lies between two thresholds: never a part of examples that score the same.
    """

    n: Counted
    hits: Counted

    @property
    def reached(self) -> Counted:
        """How many examples reach each threshold."""
        return np.cumsum(self.n)

    @property
    def found(self) -> Counted:
        """How many positives do."""
        return np.cumsum(self.hits)

    @property
    def both(self) -> bool:
        """Whether there are positives and others: without either, neither curve is defined."""
        return 0 < int(self.hits.sum()) < int(self.n.sum())


def roc(steps: Steps) -> tuple[list[float], list[float]]:
    """False and true positive rate at some of the thresholds, from (0, 0), which none reaches, to (1, 1)."""
    found, false = steps.found, steps.reached - steps.found
    kept = _kept(found, false)
    x, y = false[kept] / false[-1], found[kept] / found[-1]
    return [0.0, *map(float, x)], [0.0, *map(float, y)]


def precision_recall(steps: Steps) -> tuple[list[float], list[float]]:
    """Recall and precision at some of the thresholds, from the highest to the lowest, which all examples reach."""
    found, reached = steps.found, steps.reached
    kept = _kept(found, reached - found)
    return list(map(float, found[kept] / found[-1])), list(map(float, found[kept] / reached[kept]))


def _kept(found: Counted, false: Counted) -> Counted:
    """The first and the last step, and those where quantiles of the positives, and of the others, are reached."""
    if len(found) < MOST:
        return np.arange(len(found))
    shares = np.linspace(0, 1, MOST // 2)[1:-1]
    quantiles = [np.searchsorted(side, shares * side[-1]) for side in (found, false)]
    return np.unique(np.concatenate([[0, len(found) - 1], *quantiles])).astype(np.int64)
