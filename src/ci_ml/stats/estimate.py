"""What a method answers: a number, or a difference of two, with its interval. Layer: stats.

Intervals are two-sided at `confidence`. A difference is head - base in the metric's own units; which way is better is
not known here. A number that is not finite, and an interval of width 0 (or of rounding's) that does not come from
identical sides, cannot be constructed: no variance in the sample is not certainty about the population.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

CONFIDENCE = 0.95


class NotEstimable(ValueError):
    """The data are as they should be, and still do not give this number or its interval; the text says why."""


class TooFew(NotEstimable):
    """Fewer than two examples or clusters, or too few of a kind."""


class Undefined(NotEstimable):
    """The metric is 0/0 on these data."""


class NoVariance(NotEstimable):
    """Every unit says the same, so the sample does not tell how sure it is."""


def finite(name: str, *values: float) -> None:
    """Raises ValueError, with the name and the first of the values that is NaN or infinite."""
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{name} holds {value}, which is not a finite number")


def at_least(name: str, count: float, least: int = 2) -> None:
    """Raises TooFew unless there are that many of something (`name` is a plural)."""
    finite(f"the number of {name}", count)
    if count < least:
        raise TooFew(f"{count:g} {name}: an interval needs {least} or more")


def share(name: str, value: float) -> None:
    """Raises ValueError unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} is a number between 0 and 1, not {value}")


def negligible(amount: float, *values: float) -> bool:
    """Whether an amount is no more than what rounding leaves when it is computed from values of this size."""
    return abs(amount) <= 1e-14 * max(abs(value) for value in values)


def _check(result: Any, point: float, low: float, high: float) -> None:
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, float):
            finite(field.name, value)
    share("the confidence", result.confidence)
    if not low <= point <= high:
        raise ValueError(f"{result.method}: {point} lies outside its interval [{low}, {high}]")
    at_least("clusters" if result.clusters is not None else "examples", result.clusters or result.n)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number with its interval [low, high].

    `n` counts examples; `clusters` counts the clusters they fall into, None where examples are independent.
    `standard_error` is None where the interval does not rest on one; `df` is None for a normal interval.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n: int
    clusters: int | None = None
    standard_error: float | None = None
    df: float | None = None

    def __post_init__(self) -> None:
        _check(self, self.value, self.low, self.high)
        if negligible(self.high - self.low, self.value):
            raise NoVariance(f"{self.method}: nothing varies among {self.n} examples, so there is no interval")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Head - base with its interval [low, high], and the two-sided p-value of no difference.

    `base_error` and `head_error` are the standard errors of the two sides, where the method knows them.
    `identical`: every example counts alike on both sides, and 0 with width 0 is exact.
    """

    base: float
    head: float
    delta: float
    low: float
    high: float
    p_value: float
    confidence: float
    method: str
    n: int
    clusters: int | None = None
    standard_error: float | None = None
    df: float | None = None
    base_error: float | None = None
    head_error: float | None = None
    identical: bool = False

    def __post_init__(self) -> None:
        _check(self, self.delta, self.low, self.high)
        exact = self.identical and self.low == self.high == 0
        if not exact and negligible(self.high - self.low, self.base, self.head):
            raise NoVariance(
                f"{self.method}: the sides differ, but nothing varies among {self.n} examples, so there is no interval"
            )


def identical(
    value: float, *, n: int, confidence: float, method: str, error: float | None = None, clusters: int | None = None
) -> Difference:
    """The difference of two sides on which every example counts alike: exactly 0. `error` is that of either side."""
    return Difference(
        base=value,
        head=value,
        delta=0.0,
        low=0.0,
        high=0.0,
        p_value=1.0,
        confidence=confidence,
        method=method,
        n=n,
        clusters=clusters,
        standard_error=0.0,
        base_error=error,
        head_error=error,
        identical=True,
    )
