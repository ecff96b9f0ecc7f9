"""Several seeds per side: an interval that covers which seeds and which examples were used. Layer: stats.

The model: seeds are crossed with examples; the metric of seed s on the test set at hand is the side's own level, plus
an effect of the seed (with how it acts on these examples), plus an effect of having these examples, which all seeds
of both sides share. So

    variance(mean head - mean base) = seed variance / seeds, of either side  +  example variance of the difference

where the first is seen between seeds on the same examples, and the second is the squared standard error that the
metric's own method gives for the difference (of scores averaged over seeds; that of a single seed is larger, which
errs on the safe side). What seeds and examples do together is counted in both: that, too, is on the safe side, by
that variance / (seeds · examples). Degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2:110).
"""

import math
from collections.abc import Sequence

from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, NoVariance, TooFew, finite, identical, negligible
from ci_ml.stats.normal import critical, p_value


def _moments(side: str, values: Sequence[float]) -> tuple[float, float]:
    finite(f"the repeats of the {side}", *values)
    if len(values) < 2:
        raise TooFew(f"{len(values)} repeats of the {side}: what a seed does can be told from 2 or more")
    average = math.fsum(values) / len(values)
    if min(values) == max(values):
        return values[0], 0.0
    return average, math.fsum((value - average) ** 2 for value in values) / (len(values) - 1)


def _combined(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The standard error and Satterthwaite's degrees of freedom of independent (variance, degrees of freedom)."""
    total = math.fsum(variance for variance, _ in parts)
    weight = math.fsum((variance / total) ** 2 / df for variance, df in parts) if total else 0.0
    return math.sqrt(total), 1 / weight if weight else math.inf


def difference(
    base: Sequence[float],
    head: Sequence[float],
    *,
    n: int,
    example_variance: float = 0.0,
    example_df: float = math.inf,
    clusters: int | None = None,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Head - base of a metric's mean over seeds; one value per seed.

    `example_variance` is the squared standard error of the difference over examples, `example_df` its degrees of
    freedom (infinite for normal intervals); 0 where seeds are all that varies, for numbers without a table, which makes
    it Welch's interval. Raises TooFew for fewer than 2 seeds on a side, and NoVariance if nothing varies.
    """
    finite("the variance over examples", example_variance)
    if example_variance < 0:
        raise ValueError("the variance over examples is negative")
    (one, base_variance), (two, head_variance) = _moments("base", base), _moments("head", head)
    method = "repeats (seeds and examples)" if example_variance else "repeats (seeds)"
    parts = [(base_variance / len(base), len(base) - 1.0), (head_variance / len(head), len(head) - 1.0)]
    error, df = _combined([*parts, (example_variance, example_df)])
    if negligible(one - two, one, two) and negligible(error, one, two):
        return identical(one, n=n, confidence=confidence, method=method, clusters=clusters)
    if negligible(error, one, two):
        raise NoVariance(f"{method}: the repeats of a side are all equal, so there is no interval")
    reach = critical(confidence, None if math.isinf(df) else df) * error
    return Difference(
        base=one,
        head=two,
        delta=two - one,
        low=two - one - reach,
        high=two - one + reach,
        p_value=p_value((two - one) / error, df),
        confidence=confidence,
        method=method,
        n=n,
        clusters=clusters,
        standard_error=error,
        df=None if math.isinf(df) else df,
    )


def value(
    repeats: Sequence[float],
    *,
    n: int,
    example_variance: float = 0.0,
    example_df: float = math.inf,
    clusters: int | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """One side's mean over seeds with its interval; `example_variance` is that of the side's own value."""
    finite("the variance over examples", example_variance)
    average, variance = _moments("side", repeats)
    error, df = _combined([(variance / len(repeats), len(repeats) - 1.0), (example_variance, example_df)])
    if error == 0:
        raise NoVariance("the repeats are all equal, so there is no interval")
    reach = critical(confidence, None if math.isinf(df) else df) * error
    return Estimate(
        value=average,
        low=average - reach,
        high=average + reach,
        confidence=confidence,
        method="repeats (seeds and examples)" if example_variance else "repeats (seeds)",
        n=n,
        clusters=clusters,
        standard_error=error,
        df=None if math.isinf(df) else df,
    )
