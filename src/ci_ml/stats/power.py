"""What a test set can decide: the smallest margin it holds, and the examples a margin needs. Layer: stats.

Both use the normal approximation of an estimate: its standard error shrinks with the square root of the number of
examples (or of clusters), whatever the method. For an interval that is not symmetric (Tango, draws) that is
accurate to a few per cent once tens of examples differ between the sides. `normal.implied_error` gives the standard
error of any interval; `null_error` that of a paired table if the sides were equally good.
"""

import math

from ci_ml.stats.estimate import CONFIDENCE, Difference, NoVariance, at_least, finite, share
from ci_ml.stats.normal import critical, implied_error
from ci_ml.stats.special import normal_quantile, t_quantile
from ci_ml.stats.tango import PairedTable

POWER = 0.8


def _reach(confidence: float, power: float, df: float | None) -> float:
    share("the power", power)
    return critical(confidence, df) + (normal_quantile(power) if df is None else t_quantile(power, df))


def null_error(table: PairedTable) -> float:
    """The standard error of a paired difference of proportions if the sides were equally good.

    Without discordant examples it is what one would give: a table that shows none does not prove that there are none.
    """
    at_least("examples", table.n)
    return math.sqrt(max(table.only_base + table.only_head, 1)) / table.n


def smallest_margin(
    standard_error: float, *, confidence: float = CONFIDENCE, power: float = POWER, df: float | None = None
) -> float:
    """The smallest margin that a model as good as the base holds with probability `power`, in the metric's units.

    Held means that the interval's bad end, z standard errors from the difference, is not beyond the margin. Raises
    NoVariance for a standard error of 0.
    """
    finite("the standard error", standard_error)
    if standard_error <= 0:
        raise NoVariance("a standard error of 0 says nothing about what the test set can hold")
    return _reach(confidence, power, df) * standard_error


def examples_needed(
    n: int,
    standard_error: float,
    margin: float,
    *,
    better: float = 0.0,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> int | None:
    """How many examples (or clusters) decide about `margin` with probability `power`.

    `n` and `standard_error` are those at hand; `better` is the true difference, positive when the head is better: at
    0, or anything above -margin, the head comes out as held; below, as worse than the margin. None at exactly the
    margin, which no number of examples decides. Connor (1987, Biometrics 43:207) for paired proportions.
    """
    finite("the margin, or the difference", margin, better)
    at_least("examples", n)
    distance = abs(margin + better)
    if distance == 0:
        return None
    needed = n * (smallest_margin(standard_error, confidence=confidence, power=power) / distance) ** 2
    return max(2, math.ceil(needed * (1 - 1e-12)))


def smallest_margin_of(found: Difference, power: float = POWER) -> float | None:
    """The smallest margin that an unchanged model holds with probability `power` on test sets like this one.

    From the width of the interval, so it is there for every method. None for sides that are identical: they do not show
    how much two trainings of one model differ.
    """
    error = implied_error(found)
    if error <= 0:
        return None
    return smallest_margin(error, confidence=found.confidence, power=power, df=found.df)


def needed(found: Difference, margin: float, *, better: float = 0.0, power: float = POWER) -> int | None:
    """How many examples (or clusters) decide about `margin` with probability `power`; see `examples_needed`.

    `better` is the true change that is assumed, positive when the head is better. None where no number would do, or
    where the sides are identical.
    """
    error = implied_error(found)
    if error <= 0:
        return None
    units = found.n if found.clusters is None else found.clusters
    return examples_needed(units, error, margin, better=better, confidence=found.confidence, power=power)
