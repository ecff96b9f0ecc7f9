"""Quantiles of a number per example: the median absolute error, the 95th percentile of a latency. Layer: stats.

One side: Woodruff's interval (1952, JASA 47:635), the order statistics at the ends of the interval of the share that
lies below. A difference: the linearized quantile, whose influence is (q - [x <= Q]) / density. Woodruff's width
gives the standard error of a side without estimating a density, and the share of examples that lie below both sides'
quantile gives their correlation, with one pseudo-example more that crossed it either way: that none did does not say
that none would. All of it is three quantiles per side and one count. Clusters are not supported.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ci_ml.stats.estimate import (
    CONFIDENCE,
    Difference,
    Estimate,
    NoVariance,
    TooFew,
    at_least,
    finite,
    identical,
    share,
)
from ci_ml.stats.normal import critical, p_value


@dataclass(frozen=True, kw_only=True)
class Order:
    """The quantile of one side (interpolated), and the order statistics at `ranks` around it."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        finite("the quantiles", self.value, self.low, self.high)
        if not self.low <= self.value <= self.high:
            raise ValueError(f"quantiles out of order: {self.low}, {self.value}, {self.high}")


def ranks(n: int, quantile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Which of the n values in ascending order (1..n) are the ends of Woodruff's interval.

    Raises TooFew if one would lie beyond the smallest or the largest value.
    """
    at_least("examples", n)
    share("the quantile", quantile)
    reach = critical(confidence) * math.sqrt(n * quantile * (1 - quantile))
    low, high = math.floor(n * quantile - reach), math.ceil(n * quantile + reach) + 1
    if low < 1 or high > n:
        raise TooFew(f"{n} examples: too few for an interval of the {quantile:g} quantile")
    return low, high


def value(order: Order, *, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """One side's quantile with Woodruff's interval. Raises NoVariance if its ends are equal."""
    return Estimate(value=order.value, low=order.low, high=order.high, confidence=confidence, method="woodruff", n=n)


def difference(
    base: Order,
    head: Order,
    *,
    n: int,
    both_below: int,
    quantile: float,
    confidence: float = CONFIDENCE,
    same: bool = False,
) -> Difference:
    """The difference of quantiles of paired numbers; the module says how.

    `both_below` counts examples at or below the quantile on both sides. `same`: no example's number changed.
    Raises NoVariance for a quantile with equal order statistics around it: so many ties have no interval.
    """
    share("the quantile", quantile)
    at_least("examples", n)
    z = critical(confidence)
    # Ranks are rounded outwards, by about one on either side: with few examples that makes it wider than it need be.
    one, two = ((order.high - order.low) / (2 * z) for order in (base, head))
    if same:
        return identical(base.value, n=n, confidence=confidence, method="woodruff (paired)", error=one)
    if one == 0 or two == 0:
        raise NoVariance(f"too many of {n} examples have the value of the {quantile:g} quantile itself for an interval")
    spread = quantile * (1 - quantile)
    crossed = min(max(quantile - both_below / n, 0.0) + 1 / n, 2 * spread)
    error = math.sqrt((one - two) ** 2 + 2 * crossed / spread * one * two)
    delta = head.value - base.value
    reach = z * error
    return Difference(
        base=base.value,
        head=head.value,
        delta=delta,
        low=delta - reach,
        high=delta + reach,
        p_value=p_value(delta / error),
        confidence=confidence,
        method="woodruff (paired)",
        n=n,
        standard_error=error,
        base_error=one,
        head_error=two,
    )


def of_rows(values: ArrayLike, quantile: float, confidence: float = CONFIDENCE) -> Order:
    """`Order` from one number per example (shape: n)."""
    ordered = np.sort(np.asarray(values, dtype=float))
    low, high = ranks(len(ordered), quantile, confidence)
    return Order(
        value=float(np.quantile(ordered, quantile)), low=float(ordered[low - 1]), high=float(ordered[high - 1])
    )
