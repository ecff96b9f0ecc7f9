"""Examples that come in clusters (customers, documents, sessions): the cluster is the unit. Layer: stats.

Sums are taken per cluster first, a metric is a ratio of sums of those, and its variance that of the linearized ratio
over clusters with the CR1 correction C / (C - 1); t with C - 1 degrees of freedom. For a mean that is the clustered
standard error of Miller (2024, arXiv:2411.00640) with that correction; for ratios Cochran (1977), Sampling Techniques,
6.3 and 9A. Any other smooth metric fits `influence.difference` with the sums over clusters of its influence values.
"""

import math

from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, Undefined
from ci_ml.stats.influence import Influence, Totals, difference, value

METHOD = "clustered t"


def _mean(totals: Totals) -> Influence:
    count, base, change = totals.sums.tolist()
    if count <= 0:
        raise Undefined("the mean is undefined: the clusters hold no examples")
    return totals.influence(
        base / count, change / count, (-base / count**2, 1 / count, 0), (-change / count**2, 0, 1 / count)
    )


def mean_difference(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The difference of means of a number per example: accuracy, losses, any column.

    `totals` sums, per cluster, three columns: the number of examples, the base's sum, and head's less base's.
    """
    return difference(_mean(totals), method=METHOD, confidence=confidence)


def mean_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """One side's mean with its interval; `totals` as for `mean_difference`."""
    return value(_mean(totals), head=head, method=METHOD, confidence=confidence)


def _roots(totals: Totals) -> Influence:
    count, base, change = totals.sums.tolist()
    if count <= 0 or base < 0 or base + change < 0:
        raise Undefined("the root of the mean is undefined: no examples, or a negative sum of squares")
    one, two = math.sqrt(base / count), math.sqrt((base + change) / count)
    low, high = (0.5 / root / count if root else 0.0 for root in (one, two))
    # Influence on a side: slope · (its sum - mean · count); the head's is written with the change to keep it exact.
    slope_base = (-low * base / count, low, 0)
    slope_change = (-high * (base + change) / count + low * base / count, high - low, high)
    return totals.influence(one, (change / count) / (one + two) if one + two else 0.0, slope_base, slope_change)


def root_mean_difference(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The difference of RMSE; `totals` as for `mean_difference`, of squared errors."""
    return difference(_roots(totals), method=METHOD, confidence=confidence)


def root_mean_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """One side's RMSE with its interval; `totals` as for `mean_difference`, of squared errors."""
    return value(_roots(totals), head=head, method=METHOD, confidence=confidence, within=(0, math.inf))


def _ratio(totals: Totals) -> Influence:
    above, below, head_above, head_below = totals.sums.tolist()
    if below <= 0 or head_below <= 0:
        raise Undefined(f"the ratio is undefined: {'base' if below <= 0 else 'head'} has a denominator of 0")
    base, head = above / below, head_above / head_below
    slope = (1 / below, -base / below, 0, 0)
    return totals.influence(base, head - base, slope, (-slope[0], -slope[1], 1 / head_below, -head / head_below))


def ratio_difference(totals: Totals, confidence: float = CONFIDENCE) -> Difference:
    """The difference of ratios of sums: precision (hits over predicted), recall (hits over labelled), F1, …

    `totals` sums, per cluster, four columns: numerator and denominator of the base, and of the head.
    """
    return difference(_ratio(totals), method=METHOD, confidence=confidence)


def ratio_value(totals: Totals, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """One side's ratio with its interval; `totals` as for `ratio_difference`."""
    return value(_ratio(totals), head=head, method=METHOD, confidence=confidence)
