"""Accuracy and any other 0/1 per example, on two sides: the paired 2x2 table. Layer: stats."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ci_ml.stats.estimate import CONFIDENCE, Difference, at_least, finite
from ci_ml.stats.mcnemar import mid_p
from ci_ml.stats.normal import critical


@dataclass(frozen=True, kw_only=True)
class PairedTable:
    """How many examples are right on both sides, on one, on none."""

    both_right: int
    only_base: int
    only_head: int
    both_wrong: int

    def __post_init__(self) -> None:
        counts = (self.both_right, self.only_base, self.only_head, self.both_wrong)
        finite("the paired table", *counts)
        if min(counts) < 0:
            raise ValueError(f"the paired table holds a negative count: {counts}")

    @property
    def n(self) -> int:
        """The number of examples."""
        return self.both_right + self.only_base + self.only_head + self.both_wrong


def tango(table: PairedTable, confidence: float = CONFIDENCE) -> Difference:
    """Tango's score interval (1998, Statistics in Medicine 17:891) of a difference of paired proportions.

    It inverts the score test, whose variance is that of the hypothesis: with no discordant example it is
    ± z²/(n + z²), and when every example is lost, or won, it ends at -1, or at 1. `p_value` is the mid-p McNemar
    test. Raises TooFew for n < 2.
    """
    n, lost, won = table.n, table.only_base, table.only_head
    at_least("examples", n)
    base, head = (table.both_right + lost) / n, (table.both_right + won) / n
    delta = (won - lost) / n
    z = critical(confidence)
    return Difference(
        base=base,
        head=head,
        delta=delta,
        low=-upper(won, lost, n, z),
        high=upper(lost, won, n, z),
        p_value=mid_p(lost, won),
        confidence=confidence,
        method="tango",
        n=n,
        standard_error=math.sqrt(max((lost + won) / n - delta**2, 0.0) / n),
        base_error=math.sqrt(base * (1 - base) / n),
        head_error=math.sqrt(head * (1 - head) / n),
    )


def upper(lost: float, won: float, n: float, z: float) -> float:
    """The larger difference at which the score test is just not significant; the smaller one is its mirror.

    Counts need not be whole: expected ones tell what an interval will be.
    """
    if won == n:
        return 1.0

    def beyond(difference: float) -> bool:
        # The maximum-likelihood estimate of P(only base) under the hypothesis: a root of a q² + b q + c, in the form
        # that does not cancel.
        a, b = 2 * n, (2 * n + lost - won) * difference - lost - won
        c = -lost * difference * (1 - difference)
        root = math.sqrt(max(b * b - 4 * a * c, 0.0))
        q = -2 * c / (b + root) if b > 0 else (root - b) / (2 * a)
        variance = n * (2 * q + difference * (1 - difference))
        return n * difference - (won - lost) >= z * math.sqrt(max(variance, 0.0))

    return _first(beyond, max((won - lost) / n, -1.0), 1.0)


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition begins to hold, by bisection down to neighbouring numbers.

    Bisection cannot leave its bracket, and 60 cheap steps are fewer than a faster method's special cases.
    """
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
