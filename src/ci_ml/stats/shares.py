"""How far apart two tables of counts are: by population stability, Jensen-Shannon, chi-square. Layer: stats.

Both sides are counted over the same bins or categories (shape: bins).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ci_ml.stats import special
from ci_ml.stats.estimate import TooFew, Undefined

Counts = NDArray[np.int64]

# What is added to each bin of both sides for the population stability index, whose logarithm knows no empty bin.
SMOOTHING = 0.5
# A category is pooled with the other small ones when a side would have fewer of it if both sides were alike.
EXPECTED = 5.0


def stability(reference: Counts, current: Counts) -> float:
    """The population stability index: the sum of (q - p) · log(q / p), in nats, of smoothed shares.

    Half an example is added to every bin of both sides (`SMOOTHING`), so a bin that is empty on one side counts for
    what so many examples can say, and not for infinity.
    """
    p, q = ((side + SMOOTHING) / (side.sum() + SMOOTHING * len(side)) for side in _both(reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """Jensen and Shannon's distance of base 2: 0 for equal shares, 1 for sides that have nothing in common.

    It is the root of the divergence, as scipy.spatial.distance.jensenshannon(base=2).
    """
    p, q = (side / side.sum() for side in _both(reference, current))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def _relative_entropy(p: NDArray[np.float64], of: NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / of[there])).sum())


@dataclass(frozen=True, kw_only=True)
class ChiSquare:
    """A test of two tables of counts, and how many categories it was left with after small ones were pooled."""

    statistic: float
    df: int
    p_value: float
    pooled: int
    method: str = "chi-square"


def chi_square(reference: Counts, current: Counts) -> ChiSquare:
    """Pearson's test that both sides have the same shares, as scipy's chi2_contingency(correction=False).

    Categories of which either side would have fewer than `EXPECTED` are pooled into one; and if that is still too
    small, with the smallest that is not. Where that leaves one category, Fisher's exact test asks about the largest
    against all others; a column with a single value has nothing to test, and its p-value is 1. Raises Undefined where
    no category at all is frequent enough.
    """
    one, two = pooled(*_both(reference, current))
    if len(one) < 2:
        return _largest(reference, current)
    n, m = int(one.sum()), int(two.sum())
    both = (one + two).astype(float)
    statistic = sum(
        float(((side - both * share) ** 2 / (both * share)).sum()) for side, share in _parts(one, two, n, m)
    )
    df = len(one) - 1
    return ChiSquare(
        statistic=statistic, df=df, p_value=min(1.0, special.chi_square_tail(statistic, df)), pooled=len(one)
    )


def _largest(reference: Counts, current: Counts) -> ChiSquare:
    both = reference + current
    kinds, most = int((both > 0).sum()), int(both.argmax())
    n, m = int(reference.sum()), int(current.sum())
    if kinds == 1:
        return ChiSquare(statistic=0.0, df=0, p_value=1.0, pooled=1)
    if both[most] * min(n, m) / (n + m) < EXPECTED:
        raise Undefined("none of its values is frequent enough to be tested: it names things, and does not sort them")
    p_value = fisher(int(reference[most]), n, int(current[most]), m)
    return ChiSquare(statistic=0.0, df=1, p_value=p_value, pooled=2, method="fisher")


def _parts(one: Counts, two: Counts, n: int, m: int) -> tuple[tuple[Counts, float], tuple[Counts, float]]:
    return (one, n / (n + m)), (two, m / (n + m))


def pooled(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Both sides with small categories in one, which comes last; categories that nobody has are gone."""
    both = reference + current
    reference, current = reference[both > 0], current[both > 0]
    both = both[both > 0]
    order = np.argsort(-both, kind="stable")
    smaller = min(int(reference.sum()), int(current.sum())) / int(both.sum())
    kept = int((both * smaller >= EXPECTED).sum())
    if kept < len(both) and both[order[kept:]].sum() * smaller < EXPECTED:
        kept = max(kept - 1, 0)  # with the smallest of those that are large enough
    return _pool(reference[order], kept), _pool(current[order], kept)


def _pool(ordered: Counts, kept: int) -> Counts:
    if kept >= len(ordered):
        return ordered
    return np.append(ordered[:kept], ordered[kept:].sum()).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Two shares, and the two-sided p-value of their difference."""

    reference: float
    current: float
    p_value: float
    method: str

    @property
    def change(self) -> float:
        """The current share less that of the reference."""
        return self.current - self.reference


def proportions(hits: int, n: int, current_hits: int, current_n: int) -> Proportions:
    """Whether two shares of different examples differ: the pooled z-test, and Fisher's exact test of small counts.

    The z-test is Pearson's of the 2 x 2 table, without a correction. Small is what makes it say too much: fewer than
    `EXPECTED` expected anywhere. Raises TooFew for an empty side.
    """
    if min(n, current_n) < 1:
        raise TooFew("a share of no rows")
    total, whole = hits + current_hits, n + current_n
    expected = min(total, whole - total) * min(n, current_n) / whole
    if expected < EXPECTED:
        p_value, method = fisher(hits, n, current_hits, current_n), "fisher"
    else:
        share = total / whole
        error = math.sqrt(share * (1 - share) * (1 / n + 1 / current_n))
        z = (current_hits / current_n - hits / n) / error
        p_value, method = 2 * special.normal_cdf(-abs(z)), "two proportions"
    return Proportions(reference=hits / n, current=current_hits / current_n, p_value=p_value, method=method)


def unseen(reference: Counts, current: Counts) -> float:
    """How likely so many current rows in categories that the reference does not have are, if both sides are alike.

    Rare categories are missing from any sample, so a share of 0 in the reference is no share of 0: the categories were
    chosen for it. Of k rows of one category, all are current with the probability of drawing them from all rows; of
    the rows in such categories this is Chernoff's bound, which holds because categories compete for the same places.
    """
    both, m = reference + current, int(current.sum())
    found = int(current[reference == 0].sum())
    if not found:
        return 1.0
    sizes, many = np.unique(both[both > 0], return_counts=True)
    fixed = _log_choose(int(both.sum()), m)
    n = int(both.sum())
    # C(n - k, m - k) / C(n, m): every one of the k rows is among the m current ones.
    logs = np.array([_log_choose(n - k, m - k) - fixed if k <= m else -math.inf for k in map(int, sizes)])
    logs = np.minimum(logs, -1e-300)
    others = np.log(-np.expm1(logs))

    def bound(t: float) -> float:
        return float((many * np.logaddexp(others, logs + t * sizes)).sum()) - t * found

    low, high = -20.0, 5.0  # of the logarithm of t, in which the bound has one valley
    for _ in range(80):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, other) if bound(math.exp(one)) < bound(math.exp(other)) else (one, high)
    return min(1.0, math.exp(min(bound(math.exp((low + high) / 2)), 0.0)))


def fisher(hits: int, n: int, current_hits: int, current_n: int) -> float:
    """Fisher's exact two-sided p-value: every table that is as unlikely as this one, as scipy's fisher_exact."""
    total, whole = hits + current_hits, n + current_n
    if total > whole - total:  # the rarer of both outcomes gives the shorter sum
        return fisher(n - hits, n, current_n - current_hits, current_n)
    low, high = max(0, total - current_n), min(total, n)
    fixed = _log_choose(whole, total)
    logs = [_log_choose(n, k) + _log_choose(current_n, total - k) - fixed for k in range(low, high + 1)]
    most = logs[hits - low] + 1e-7
    return min(1.0, math.fsum(math.exp(value) for value in logs if value <= most))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _both(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    if reference.shape != current.shape or reference.ndim != 1:
        raise ValueError("both sides are counted over the same bins")
    if reference.sum() < 1 or current.sum() < 1:
        raise TooFew("a side without any values has no shares")
    return reference, current
