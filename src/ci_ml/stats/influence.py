"""Linearized estimates: what any smooth metric becomes once each unit has a number. Layer: stats.

To first order a metric is its value plus the sum of one number per unit, the unit's influence: those numbers sum to 0
and the sum of their squares is the metric's variance (the infinitesimal jackknife; Hampel 1974, JASA 69:383). Units
are examples, or clusters: the influence of a cluster is the sum over its examples.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, NoVariance, at_least, finite, identical, negligible
from ci_ml.stats.normal import critical, p_value

# Sums of squares below this share of what they were computed from are rounding.
ROUNDING = 1e-14


@dataclass(frozen=True, kw_only=True)
class Influence:
    """Sums over `units` of the squares of their influence, for the base, for the difference, and of the two's product.

    `units` is `n`, the number of examples, unless `clusters`. `base` and `delta` are the metric's values (of the base,
    and head - base); the sums are in those units, squared.
    """

    n: int
    units: int
    base: float
    delta: float
    base_squares: float
    delta_squares: float
    products: float
    clusters: bool = False

    def __post_init__(self) -> None:
        finite("the influence", self.base, self.delta, self.base_squares, self.delta_squares, self.products)
        at_least("clusters" if self.clusters else "examples", self.units)
        if self.base_squares < 0 or self.delta_squares < 0:
            raise ValueError("a sum of squares is negative")

    @classmethod
    def of(cls, base: ArrayLike, change: ArrayLike, *, value: float, delta: float, n: int, clusters: bool) -> Self:
        """From one number per unit (shape: units): its influence on the base, and on head - base."""
        one, two = np.asarray(base, dtype=float), np.asarray(change, dtype=float)
        return cls(
            n=n,
            units=len(one),
            base=value,
            delta=delta,
            base_squares=float(one @ one),
            delta_squares=float(two @ two),
            products=float(one @ two),
            clusters=clusters,
        )

    @property
    def correction(self) -> float:
        """C / (C - 1), which makes CR1 of the clustered variance; for examples it makes a mean's variance unbiased."""
        return self.units / (self.units - 1)


def _size(influence: Influence) -> int | None:
    return influence.units if influence.clusters else None


def difference(
    influence: Influence, *, method: str, confidence: float = CONFIDENCE, df: float | None = None
) -> Difference:
    """Head - base ± t · standard error, with units - 1 degrees of freedom unless `df` says otherwise.

    With no influence of any unit and no difference (but for rounding) the sides are identical; NoVariance if only the
    former holds.
    """
    df = influence.units - 1 if df is None else df
    base, head = influence.base, influence.base + influence.delta
    head_squares = influence.base_squares + influence.delta_squares + 2 * influence.products
    error, base_error, head_error = (
        math.sqrt(influence.correction * max(squares, 0.0))
        for squares in (influence.delta_squares, influence.base_squares, head_squares)
    )
    if negligible(influence.delta, base, head) and negligible(error, base, head):
        return identical(
            base, n=influence.n, confidence=confidence, method=method, error=base_error, clusters=_size(influence)
        )
    reach = critical(confidence, df) * error
    return Difference(
        base=base,
        head=head,
        delta=influence.delta,
        low=influence.delta - reach,
        high=influence.delta + reach,
        p_value=p_value(influence.delta / error, df) if error else 0.0,
        confidence=confidence,
        method=method,
        n=influence.n,
        clusters=_size(influence),
        standard_error=error,
        df=df,
        base_error=base_error,
        head_error=head_error,
    )


def value(
    influence: Influence,
    *,
    head: bool = True,
    method: str,
    confidence: float = CONFIDENCE,
    df: float | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """One side's own value ± t · standard error, cut off at what the metric can be."""
    squares = influence.base_squares
    point = influence.base
    if head:
        squares += influence.delta_squares + 2 * influence.products
        point += influence.delta
    df = influence.units - 1 if df is None else df
    error = math.sqrt(influence.correction * max(squares, 0.0))
    if error == 0:
        raise NoVariance(f"{method}: nothing varies among {influence.n} examples, so there is no interval")
    reach = critical(confidence, df) * error
    return Estimate(
        value=point,
        low=min(max(point - reach, within[0]), point),
        high=max(min(point + reach, within[1]), point),
        confidence=confidence,
        method=method,
        n=influence.n,
        clusters=_size(influence),
        standard_error=error,
        df=df,
    )


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over units of a vector of k numbers per unit, and of its products: all that a smooth function of sums needs.

    `sums` has shape (k,), `products` (k, k): sums of x_i · x_j over units. `n` counts examples.
    """

    n: int
    units: int
    sums: NDArray[np.float64]
    products: NDArray[np.float64]
    clusters: bool = False

    def __post_init__(self) -> None:
        finite("the sums", *self.sums.tolist())
        finite("the sums of products", *self.products.ravel().tolist())
        at_least("clusters" if self.clusters else "examples", self.units)

    @classmethod
    def of(cls, units: ArrayLike, *, n: int, clusters: bool = False) -> Self:
        """From one row per unit (shape: units x k)."""
        rows = np.asarray(units, dtype=float)
        return cls(n=n, units=len(rows), sums=rows.sum(axis=0), products=rows.T @ rows, clusters=clusters)

    def mapped(self, matrix: ArrayLike) -> "Totals":
        """The same of linear combinations of the columns (`matrix` has shape: new columns x old columns)."""
        combined = np.asarray(matrix, dtype=float)
        products = combined @ self.products @ combined.T
        return dataclasses.replace(self, sums=combined @ self.sums, products=products)

    def influence(self, base: float, delta: float, base_slope: ArrayLike, delta_slope: ArrayLike) -> Influence:
        """The influence of a function of the sums, given its slopes in them (shape: k) where they are.

        The function must not change when all sums grow alike (as ratios do not): then influences sum to 0 by
        themselves. What is left of a sum of squares after cancellation is 0 if it can only be rounding.
        """
        one, two = np.asarray(base_slope, dtype=float), np.asarray(delta_slope, dtype=float)
        return Influence(
            n=self.n,
            units=self.units,
            base=base,
            delta=delta,
            base_squares=self._square(one, one),
            delta_squares=self._square(two, two),
            products=float(one @ self.products @ two),
            clusters=self.clusters,
        )

    def _square(self, one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
        square = float(one @ self.products @ two)
        size = float(np.abs(one) @ np.abs(self.products) @ np.abs(two))
        return square if square > ROUNDING * size else 0.0
