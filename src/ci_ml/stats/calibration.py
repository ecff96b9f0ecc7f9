"""Expected calibration error from binned sums. Layer: stats.

ECE = Σ over bins |Σ (confidence - outcome)| / n (Naeini 2015; Guo 2017): bins of the score against the label for two
classes, of the top score against being right for more. Which bins is the caller's business.

The interval is the linearized one: within a bin the sign of the gap is taken as known, and an example's influence is
that sign times its own confidence - outcome. But an absolute value grows with noise: a side whose gaps are small next
to their noise looks worse than it is, so a loss looks smaller. Each end is therefore moved outwards by the most that
noise may add to one side, less the least that it may add to the other (means of folded normals). On a few hundred
examples the result is wide, which is all that so many bins can tell. Clusters are not supported.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, NoVariance, at_least, finite, identical
from ci_ml.stats.influence import ROUNDING
from ci_ml.stats.normal import critical, p_value
from ci_ml.stats.special import normal_cdf

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Sums over the examples that fall into a bin of the base and a bin of the head (one entry per occupied pair).

    With d = confidence - outcome: `count`, sums of d for either side, of its square, and of the product of both sides'.
    `base_bin` and `head_bin` number the bins (0, 1, …).
    """

    base_bin: NDArray[np.int64]
    head_bin: NDArray[np.int64]
    count: Array
    base: Array
    head: Array
    base_squares: Array
    head_squares: Array
    products: Array

    def __post_init__(self) -> None:
        for name in ("count", "base", "head", "base_squares", "head_squares", "products"):
            finite(f"the column {name} of the bins", *getattr(self, name).tolist())
        at_least("examples", self.n)

    @property
    def n(self) -> int:
        """The number of examples."""
        return int(self.count.sum())

    @property
    def change_squares(self) -> float:
        """The sum of squares of how much d changes; 0 if no confidence changed."""
        square = float((self.head_squares + self.base_squares - 2 * self.products).sum())
        return square if square > ROUNDING * float((self.head_squares + self.base_squares).sum()) else 0.0


def of_rows(
    confidence: ArrayLike, outcome: ArrayLike, head_confidence: ArrayLike, head_outcome: ArrayLike, bins: int
) -> Bins:
    """`Bins` from one entry per example and side, with bins of equal width in 0..1 that hold their upper end."""
    one, two = (np.asarray(side, dtype=float) for side in (confidence, head_confidence))
    if (
        not (np.isfinite(one).all() and np.isfinite(two).all())
        or min(one.min(), two.min()) < 0
        or max(one.max(), two.max()) > 1
    ):
        raise ValueError("a confidence is a number from 0 to 1")
    base_bin, head_bin = (np.clip(np.ceil(side * bins).astype(np.int64) - 1, 0, bins - 1) for side in (one, two))
    pair, where = np.unique(base_bin * bins + head_bin, return_inverse=True)
    on_base, on_head = one - np.asarray(outcome, dtype=float), two - np.asarray(head_outcome, dtype=float)
    columns = (np.ones_like(one), on_base, on_head, on_base**2, on_head**2, on_base * on_head)
    sums = [np.bincount(where, weights=column, minlength=len(pair)).astype(float) for column in columns]
    return Bins(
        base_bin=pair // bins,
        head_bin=pair % bins,
        count=sums[0],
        base=sums[1],
        head=sums[2],
        base_squares=sums[3],
        head_squares=sums[4],
        products=sums[5],
    )


@dataclass(frozen=True)
class _Side:
    value: float
    sign: Array  # of the gap of the bin that each pair of bins belongs to
    squares: float  # Σ (influence · n)²
    least: float  # what noise may add to the value, at least
    most: float


def _side(which: NDArray[np.int64], sums: Array, squares: Array, n: int) -> _Side:
    gap = np.bincount(which, weights=sums) / n
    square = np.bincount(which, weights=squares)
    value = float(np.abs(gap).sum())
    error = np.sqrt(np.maximum(square / n - gap**2, 0.0) / n)
    # A gap of 0, but for the order in which it was summed, has no sign: then neither side's noise offsets the other's.
    sign = np.where(np.abs(gap) > ROUNDING, np.sign(gap), 0.0)
    return _Side(value, sign[which], float(square.sum()), _bias(gap, error, -1), _bias(gap, error, 2))


def _bias(gap: Array, error: Array, deviations: float) -> float:
    """By how much noise makes Σ |true gap + noise| larger than Σ |true gap|, on average.

    The true gaps are taken to be c · `gap`, with the least c in 0..1 for which the sum that was seen is no more than so
    many standard deviations above its mean.
    """
    seen = float(np.abs(gap).sum())
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        mean, deviation = _folded(middle * gap, error)
        low, high = (low, middle) if mean + deviations * deviation >= seen else (middle, high)
    return _folded(low * gap, error)[0] - low * seen


def _folded(gap: Array, error: Array) -> tuple[float, float]:
    """Mean and standard deviation of Σ |gap + noise|, a sum of folded normals."""
    ratio = np.divide(np.abs(gap), error, out=np.zeros_like(gap), where=error > 0)
    noise = error * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2)
    mean = np.where(error > 0, noise + np.abs(gap) * (1 - 2 * _normal_cdf(-ratio)), np.abs(gap))
    variance = np.maximum(gap**2 + error**2 - mean**2, 0.0)
    return float(mean.sum()), math.sqrt(variance.sum())


def _normal_cdf(x: Array) -> Array:
    return np.array([normal_cdf(value) for value in x.tolist()])  # one number per bin: few


def difference(bins: Bins, confidence: float = CONFIDENCE) -> Difference:
    """The difference of expected calibration errors, head - base.

    Raises NoVariance if nothing varies but something differs.
    """
    n = bins.n
    base = _side(bins.base_bin, bins.base, bins.base_squares, n)
    head = _side(bins.head_bin, bins.head, bins.head_squares, n)
    if bins.change_squares == 0 and np.array_equal(bins.base_bin, bins.head_bin):
        return identical(
            base.value,
            n=n,
            confidence=confidence,
            method="binned delta method",
            error=_error(base.squares, base.value, n),
        )
    delta = head.value - base.value
    cross = float((base.sign * head.sign * bins.products).sum())
    error = _error(base.squares + head.squares - 2 * cross, delta, n)
    if error == 0:
        raise NoVariance(f"all {n} examples' confidence moved by the same amount, so there is no interval")
    reach = critical(confidence) * error
    down, up = max(head.most - base.least, 0.0), max(base.most - head.least, 0.0)
    return Difference(
        base=base.value,
        head=head.value,
        delta=delta,
        low=max(delta - reach - down, -1.0),
        high=min(delta + reach + up, 1.0),
        p_value=p_value(max(delta - down, -delta - up, 0.0) / error),
        confidence=confidence,
        method="binned delta method",
        n=n,
        standard_error=error,
        base_error=_error(base.squares, base.value, n),
        head_error=_error(head.squares, head.value, n),
    )


def _error(squares: float, value: float, n: int) -> float:
    """The standard error of a sum of influences, from their raw squares and their mean."""
    left = squares / n - value**2
    return math.sqrt(left / (n - 1)) if left > ROUNDING * squares / n else 0.0


def value(bins: Bins, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """One side's ECE with its interval, cut off at 0 and 1."""
    n = bins.n
    side = (
        _side(bins.head_bin, bins.head, bins.head_squares, n)
        if head
        else _side(bins.base_bin, bins.base, bins.base_squares, n)
    )
    error = _error(side.squares, side.value, n)
    if error == 0:
        raise NoVariance(f"all {n} examples are off by the same amount, so the calibration error has no interval")
    reach = critical(confidence) * error
    return Estimate(
        value=side.value,
        low=max(side.value - reach - side.most, 0.0),
        high=min(side.value + reach, 1.0),
        confidence=confidence,
        method="binned delta method",
        n=n,
        standard_error=error,
    )
