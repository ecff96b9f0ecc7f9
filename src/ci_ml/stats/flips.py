"""Flip rates: how many examples one side gets right and the other wrong, among all. Layer: stats.

A model flips nothing against itself, so the base's rate is 0 and the head's is the difference; both have one interval.
"""

from ci_ml.stats import clusters
from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, identical
from ci_ml.stats.influence import Totals
from ci_ml.stats.proportion import wilson

METHOD = "flip rate"


def difference(flipped: int, n: int, confidence: float = CONFIDENCE) -> Difference:
    """The flip rate with Wilson's interval; the p-value that no example of the population flips is 0 once one does."""
    rate = wilson(flipped, n, confidence)
    return Difference(
        base=0.0,
        head=rate.value,
        delta=rate.value,
        low=rate.low,
        high=rate.high,
        p_value=0.0 if flipped else 1.0,
        confidence=confidence,
        method=METHOD,
        n=n,
    )


def value(flipped: int, n: int, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """The flip rate with Wilson's interval; the base against itself has none."""
    return wilson(flipped if head else 0, n, confidence)


def clustered_difference(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The flip rate for clustered examples; `totals` sums, per cluster, examples and those that flipped."""
    if totals.sums[1] == 0:
        return identical(0.0, n=totals.n, confidence=confidence, method=clusters.METHOD, clusters=totals.units)
    return clusters.mean_difference(_against_nothing(totals), confidence)


def clustered_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """The flip rate for clustered examples, with its interval; `totals` as for `clustered_difference`."""
    return clusters.mean_value(_against_nothing(totals), head=head, confidence=confidence)


def _against_nothing(totals: Totals) -> Totals:
    """Examples, what the base flips against itself, and what the head flips."""
    return totals.mapped([[1, 0], [0, 0], [0, 1]])
