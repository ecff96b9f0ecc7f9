"""What a family answers for one metric on one slice. Layer: metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from ci_ml.core.catalogue import Asked
from ci_ml.core.types import Slice
from ci_ml.stats.estimate import Difference, Estimate


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One metric on one slice, from its sufficient statistics, at any confidence.

    `difference(confidence)` is head - base, `value(confidence, head)` one side's own number. Both raise ValueError, and
    NotEstimable (a ValueError) where the data are fine and do not give the answer.
    """

    difference: Callable[[float], Difference]
    value: Callable[[float, bool], Estimate]


Statistics = dict[tuple[Asked, Slice | None], Statistic]
