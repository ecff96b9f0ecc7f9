"""What a table of clustered examples is worth: as many independent ones as its design effect leaves. Layer: stats.

A normal interval cannot imagine a change that the sample does not hold, so where few examples changed the clustered t
calls a loss of exactly the margin harmless three times too often. Counts divided by the design effect (Rao and Scott
1992, Biometrics 48:577) go through the methods for independent examples, which allow for that; the wider of both
intervals judges. When every example is its own cluster this is the interval without clusters, and when every example
is there k times it is that of the examples once.
"""

import dataclasses

from ci_ml.stats import adjusted, tango
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.normal import critical
from ci_ml.stats.proportion import wilson_ends
from ci_ml.stats.tango import PairedTable

# Below this no method has an interval.
_FEWEST = 2.0


def effect(clustered: float, alone: float, n: float) -> float:
    """The design effect: sums of squared influence over clusters, and over examples as if each were alone.

    At least 1, for fewer than no clusters cannot be trusted to tell; at most what leaves the worth of two examples.
    """
    return min(max(clustered / alone if alone > 0 else 1.0, 1.0), max(n / _FEWEST, 1.0))


def proportions(table: PairedTable, worth: float, confidence: float) -> tuple[float, float]:
    """Both ends of Tango's interval of the table's counts divided by a design effect."""
    lost, won, n = table.only_base / worth, table.only_head / worth, table.n / worth
    z = critical(confidence)
    return -tango.upper(won, lost, n, z), tango.upper(lost, won, n, z)


def counts(found: Counts, metric: Metric, worth: float, confidence: float) -> tuple[float, float]:
    """Both ends of the adjusted delta method's interval of the counts divided by a design effect."""
    if metric.which is not None and found.classes > 2:
        return counts(found.one_vs_rest(metric.which), Metric(name=metric.name, which=1), worth, confidence)
    return adjusted.ends(dataclasses.replace(found, count=found.count / worth), metric, confidence)


def share(value: float, n: float, worth: float, confidence: float) -> tuple[float, float]:
    """Both ends of Wilson's interval of a proportion of n examples divided by a design effect."""
    return wilson_ends(value * n / worth, n / worth, confidence)


def wider(found: Difference, ends: tuple[float, float]) -> Difference:
    """The difference with the interval that covers its own and another."""
    return dataclasses.replace(found, low=min(found.low, ends[0]), high=max(found.high, ends[1]))


def wider_value(found: Estimate, ends: tuple[float, float]) -> Estimate:
    """The value with the interval that covers its own and another."""
    return dataclasses.replace(found, low=min(found.low, ends[0]), high=max(found.high, ends[1]))
