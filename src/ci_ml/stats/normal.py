"""Critical values and p-values of the normal and of Student's t. Layer: stats."""

import math

from ci_ml.stats.estimate import Difference, Estimate, share
from ci_ml.stats.special import normal_cdf, normal_quantile, t_cdf, t_quantile


def critical(confidence: float, df: float | None = None) -> float:
    """The distance from the centre, in standard errors, that a two-sided interval at `confidence` reaches.

    `df` None is the normal distribution. Raises ValueError unless 0 < confidence < 1 and df > 0.
    """
    share("the confidence", confidence)
    tail = (1 - confidence) / 2
    if df is None:
        return -normal_quantile(tail)
    if not df > 0:
        raise ValueError(f"degrees of freedom are a positive number, not {df}")
    return -t_quantile(tail, df)


def p_value(distance: float, df: float | None = None) -> float:
    """The two-sided p-value of a distance from 0 in standard errors."""
    if df is None or math.isinf(df):
        return 2 * normal_cdf(-abs(distance))
    return 2 * t_cdf(-abs(distance), df)


def implied_error(found: Difference | Estimate) -> float:
    """The standard error that an interval of this width would have if it were symmetric.

    For what needs one number for how noisy an estimate is, whatever the method: unlike `standard_error` it is there for
    every interval, and never 0 for sides that differ.
    """
    return (found.high - found.low) / (2 * critical(found.confidence, found.df))
