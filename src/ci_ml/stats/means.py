"""Means of a number per example (log loss, Brier, MAE, MSE, MAPE, pinball, any column), RMSE and R². Layer: stats.

MAPE and pinball loss are such means: of |error| / |label| and of the pinball loss of each example.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats.estimate import (
    CONFIDENCE,
    Difference,
    Estimate,
    NoVariance,
    Undefined,
    at_least,
    finite,
    identical,
    negligible,
)
from ci_ml.stats.influence import ROUNDING, Influence, Totals, difference, value
from ci_ml.stats.normal import critical, p_value


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Moments of a number that each of n examples has on both sides: of its base value and of its change to the head.

    Means, and variances with n - 1. The change is a column of its own because the variance of head - base from the
    variances of base and head cancels when the sides are much alike.
    """

    n: int
    base: float
    delta: float
    base_variance: float
    delta_variance: float
    covariance: float

    def __post_init__(self) -> None:
        finite("the moments", self.base, self.delta, self.base_variance, self.delta_variance, self.covariance)
        at_least("examples", self.n)
        if self.base_variance < 0 or self.delta_variance < 0:
            raise ValueError("a variance is negative")

    @classmethod
    def of_sums(
        cls,
        *,
        n: int,
        base: float,
        delta: float,
        base_squares: float,
        delta_squares: float,
        products: float,
        base_center: float = 0.0,
        delta_center: float = 0.0,
    ) -> Self:
        """From sums over examples: of both columns, of their squares, and of their product.

        The centers are what was taken away from each number of a column before it was summed, so that the squares of
        numbers that are large next to their spread keep their digits.
        """
        at_least("examples", n)
        finite("the sums", base, delta, base_squares, delta_squares, products, base_center, delta_center)
        one, two = _variance(n, base, base_squares), _variance(n, delta, delta_squares)
        most = math.sqrt(one * two)  # so that of no variance no covariance is left
        return cls(
            n=n,
            base=base_center + base / n,
            delta=delta_center + delta / n,
            base_variance=one,
            delta_variance=two,
            covariance=min(max((products - base * delta / n) / (n - 1), -most), most),
        )

    @classmethod
    def of(cls, base: ArrayLike, head: ArrayLike) -> Self:
        """From the numbers themselves (shape: examples)."""
        one = np.asarray(base, dtype=float)
        at_least("examples", len(one))
        change = np.asarray(head, dtype=float) - one
        finite("the column", float(one.sum()), float(change.sum()))
        (average, spread), (shift, around) = _centered(one), _centered(change)
        scale = len(one) - 1
        return cls(
            n=len(one),
            base=average,
            delta=shift,
            base_variance=float(spread @ spread) / scale,
            delta_variance=float(around @ around) / scale,
            covariance=float(spread @ around) / scale,
        )

    @property
    def head(self) -> float:
        """The head's mean."""
        return self.base + self.delta

    @property
    def head_variance(self) -> float:
        """The variance of the head's values."""
        return max(self.base_variance + self.delta_variance + 2 * self.covariance, 0.0)


def _centered(column: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The mean, and what lies around it: exactly 0 where all numbers are equal, of which rounding may miss the mean."""
    around = column - column[0]
    average = float(around.mean())
    return float(column[0]) + average, around - average


def _variance(n: int, total: float, squares: float) -> float:
    left = squares - total**2 / n
    return left / (n - 1) if left > ROUNDING * squares else 0.0


def paired_t(pairs: Pairs, confidence: float = CONFIDENCE) -> Difference:
    """Student's interval of the mean difference, n - 1 degrees of freedom; as R's t.test(paired = TRUE).

    Raises NoVariance if every example changed by the same amount other than 0.
    """
    method = "paired t"
    base_error, error = math.sqrt(pairs.base_variance / pairs.n), math.sqrt(pairs.delta_variance / pairs.n)
    if negligible(pairs.delta, pairs.base, pairs.head) and negligible(error, pairs.base, pairs.head):
        return identical(pairs.base, n=pairs.n, confidence=confidence, method=method, error=base_error)
    df = pairs.n - 1
    reach = critical(confidence, df) * error
    return Difference(
        base=pairs.base,
        head=pairs.head,
        delta=pairs.delta,
        low=pairs.delta - reach,
        high=pairs.delta + reach,
        p_value=p_value(pairs.delta / error, df) if error else 0.0,
        confidence=confidence,
        method=method,
        n=pairs.n,
        standard_error=error,
        df=df,
        base_error=base_error,
        head_error=math.sqrt(pairs.head_variance / pairs.n),
    )


def mean(n: int, average: float, variance: float, confidence: float = CONFIDENCE) -> Estimate:
    """Student's interval of one mean. A column of 0 and 1 is a proportion: `wilson` serves it also when all agree."""
    finite("the moments", average, variance)
    at_least("examples", n)
    if variance <= 0:
        raise NoVariance(f"all {n} examples have the value {average:g}, so its mean has no interval")
    error = math.sqrt(variance / n)
    reach = critical(confidence, n - 1) * error
    return Estimate(
        value=average,
        low=average - reach,
        high=average + reach,
        confidence=confidence,
        method="t",
        n=n,
        standard_error=error,
        df=n - 1,
    )


def _roots(pairs: Pairs) -> Influence:
    """The delta method for √mean: slope 1 / (2 √mean). A side without error has no variance, and needs no slope."""
    if pairs.base < 0 or pairs.head < 0:
        raise ValueError("a mean of squares is negative")
    base, head = math.sqrt(pairs.base), math.sqrt(pairs.head)
    one, two = (0.5 / root if root else 0.0 for root in (base, head))
    step = two - one  # head · two - base · one = delta · two + base · step
    variances = (pairs.base_variance, pairs.delta_variance, pairs.covariance)
    spread = two**2 * variances[1] + step**2 * variances[0] + 2 * two * step * variances[2]
    scale = (pairs.n - 1) / pairs.n**2  # from a variance to what `Influence` sums
    return Influence(
        n=pairs.n,
        units=pairs.n,
        base=base,
        delta=pairs.delta / (base + head) if base + head else 0.0,
        base_squares=one**2 * variances[0] * scale,
        delta_squares=max(spread, 0.0) * scale,
        products=(one * two * variances[2] + one * step * variances[0]) * scale,
    )


def root_mean(pairs: Pairs, confidence: float = CONFIDENCE) -> Difference:
    """The difference of √mean, for RMSE: `pairs` holds squared errors. Delta method, t with n - 1 df."""
    return difference(_roots(pairs), method="paired t (delta method)", confidence=confidence)


def root_mean_value(n: int, average: float, variance: float, confidence: float = CONFIDENCE) -> Estimate:
    """√mean of one side, for RMSE; its interval is the mean's own, rooted, so it stays above 0."""
    squared = mean(n, average, variance, confidence)
    assert squared.standard_error is not None
    return Estimate(
        value=math.sqrt(average),
        low=math.sqrt(max(squared.low, 0.0)),
        high=math.sqrt(squared.high),
        confidence=confidence,
        method="t (root)",
        n=n,
        standard_error=squared.standard_error / (2 * math.sqrt(average)),
        df=n - 1,
    )


def _r_squared(totals: Totals) -> Influence:
    spread, base, change = totals.sums.tolist()
    if spread <= 0:
        raise Undefined("R² is undefined: all labels are equal")
    # R² = 1 - loss / spread. The mean label, estimated too, does not matter to first order: it minimizes the spread.
    return totals.influence(
        1 - base / spread, -change / spread, (base / spread**2, -1 / spread, 0), (change / spread**2, 0, -1 / spread)
    )


def r_squared(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The difference of R², by the delta method.

    `totals` sums, per unit, three columns: (label - mean label)², the base's squared error, and head's less base's.
    Raises Undefined if all labels are equal.
    """
    return difference(_r_squared(totals), method="paired t (delta method)", confidence=confidence)


def r_squared_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """R² of one side with its interval; `totals` as for `r_squared`."""
    return value(_r_squared(totals), head=head, method="t (delta method)", confidence=confidence, within=(-math.inf, 1))
