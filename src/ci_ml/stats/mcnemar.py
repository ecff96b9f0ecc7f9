"""McNemar's tests of no difference between paired proportions. Layer: stats.

`lost` and `won` count the examples that only the base, and only the head, gets right.
"""

import math

from ci_ml.stats.estimate import finite
from ci_ml.stats.special import beta_cdf


def _check(lost: int, won: int) -> None:
    finite("the discordant pairs", lost, won)
    if lost < 0 or won < 0:
        raise ValueError(f"discordant pairs cannot number {lost} and {won}")


def _below(most: int, pairs: int) -> float:
    """P(X <= most) of a fair coin thrown `pairs` times."""
    return beta_cdf(0.5, pairs - most, most + 1)


def exact(lost: int, won: int) -> float:
    """The exact two-sided binomial p-value, conditional on the discordant pairs; 1 without any."""
    _check(lost, won)
    if lost == won:
        return 1.0
    return min(1.0, 2 * _below(min(lost, won), lost + won))


def mid_p(lost: int, won: int) -> float:
    """The mid-p value: the exact one less the probability of what was observed.

    Fagerland, Lydersen and Laake (2013, BMC Medical Research Methodology 13:91). The exact test is needlessly
    conservative; this one keeps its level in all but a few tables. 1 without discordant pairs.
    """
    _check(lost, won)
    pairs, fewer = lost + won, min(lost, won)
    if pairs == 0:
        return 1.0
    below = _below(fewer - 1, pairs) if fewer else 0.0
    up_to = _below(fewer, pairs)
    # 2 F(x) - f(x), as a sum that does not cancel; with lost = won the exact value is 1, not 2 F(x).
    return 1 - (up_to - below) / 2 if lost == won else below + up_to


def chi_squared(lost: int, won: int, *, corrected: bool = False) -> tuple[float, float]:
    """McNemar's statistic (1947; `corrected` by Edwards) and its asymptotic p-value; (0, 1) with no discordant pair."""
    _check(lost, won)
    if lost + won == 0:
        return 0.0, 1.0
    distance = max(abs(lost - won) - corrected, 0)
    statistic = distance**2 / (lost + won)
    return statistic, math.erfc(math.sqrt(statistic / 2))
