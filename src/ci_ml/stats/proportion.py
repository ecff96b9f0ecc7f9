"""Intervals of one proportion, for floors and ceilings. Layer: stats."""

import math

from ci_ml.stats.estimate import CONFIDENCE, Estimate, at_least, finite, share
from ci_ml.stats.normal import critical
from ci_ml.stats.special import beta_quantile


def _check(successes: float, n: float) -> None:
    finite("the table", successes, n)
    if not 0 <= successes <= n:
        raise ValueError(f"{successes:g} of {n:g} is not a proportion")
    at_least("examples", n)


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's score interval (1927, JASA 22:209): inverts the test with the variance of the hypothesis.

    Never empty and never outside [0, 1], also at 0 and at n. Raises TooFew for n < 2, ValueError for impossible counts.
    """
    _check(successes, n)
    value = successes / n
    low, high = wilson_ends(successes, n, confidence)
    return Estimate(
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        method="wilson",
        n=n,
        standard_error=math.sqrt(value * (1 - value) / n),
    )


def wilson_ends(successes: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Both ends of Wilson's interval, also of counts that are not whole."""
    z2 = critical(confidence) ** 2
    value = successes / n
    centre = (successes + z2 / 2) / (n + z2)
    reach = math.sqrt(z2 * (value * (1 - value) * n + z2 / 4)) / (n + z2)
    low = 0.0 if successes == 0 else min(value, centre - reach)
    return low, 1.0 if successes == n else max(value, centre + reach)


def clopper_pearson(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """The exact binomial interval (Clopper and Pearson 1934), which R's binom.test gives; wider than it need be."""
    _check(successes, n)
    share("the confidence", confidence)
    tail = (1 - confidence) / 2
    return Estimate(
        value=successes / n,
        low=0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1),
        high=1.0 if successes == n else 1 - beta_quantile(tail, n - successes, successes + 1),
        confidence=confidence,
        method="clopper-pearson",
        n=n,
    )
