"""Flip rates: how many examples one side gets right and the other wrong, among all. Layer: stats.

A model flips nothing against itself, so the base's rate is 0 and the head's is the difference; both have one interval.
"""

from ci_ml.stats import clusters
from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, identical
from ci_ml.stats.influence import Totals
from ci_ml.stats.normal import implied_error
from ci_ml.stats.proportion import wilson

METHOD = "flip rate"


def difference(flipped: int, n: int, confidence: float = CONFIDENCE) -> Difference:
    """The flip rate with Wilson's interval, of `flipped` among n examples.

    The exact p-value of a rate of 0 is 0 once an example flips. The standard error is the one that the interval
    implies, which is not 0 where none does. Raises TooFew for n < 2, ValueError for impossible counts.
    """
    rate = wilson(flipped, n, confidence)
    error = implied_error(rate)
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
        standard_error=error,
        base_error=0.0,
        head_error=error,
    )


def value(flipped: int, n: int, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """The flip rate with Wilson's interval; the base against itself has none."""
    return wilson(flipped if head else 0, n, confidence)


def clustered_difference(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The flip rate for clustered examples; `totals` sums, per cluster, examples and those that flipped.

    Where none did, the sides are called identical: a caller who knows that predictions changed knows better, and has
    the interval of that many clusters that all agree in `difference`.
    """
    if totals.sums[1] == 0:
        return identical(0.0, n=totals.n, confidence=confidence, method=clusters.METHOD, clusters=totals.units)
    return clusters.mean_difference(_against_nothing(totals), confidence)


def clustered_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """The flip rate for clustered examples, with its interval; `totals` as for `clustered_difference`."""
    return clusters.mean_value(_against_nothing(totals), head=head, confidence=confidence)


def _against_nothing(totals: Totals) -> Totals:
    """Examples, what the base flips against itself, and what the head flips."""
    return totals.mapped([[1, 0], [0, 0], [0, 1]])
