"""Margins that are a share of the base value: the base is an estimate, too. Layer: stats.

Head - base may lose up to m · |base|, which is a claim about head - (1 - m) · base (for losses, about (1 + m) · base -
head), and noise in the base is part of it: a loss whose few large values decide, but alike on both sides, has a base
far noisier than the difference. The claim is tested as Fieller tests a ratio (1954, J. Royal Statistical Society B
16:175): with the standard error of that combination, which the errors of base, head and difference determine.
"""

import math

from ci_ml.stats.estimate import Difference, finite
from ci_ml.stats.normal import implied_error


def allowed(found: Difference, share: float, *, higher_is_better: bool) -> float:
    """How far the interval's bad end may lie from 0 if no more than `share` of the base value is to be lost.

    In the metric's units: share · |base|, less what noise in the base takes away from that (so it may be negative, and
    is never more). The base counts as known where the method does not know its error. Raises ValueError for a share
    that is negative or not a number.
    """
    finite("the share", share)
    if share < 0:
        raise ValueError(f"a margin is a share of 0 or more, not {share}")
    plain = share * abs(found.base)
    error = implied_error(found)
    if found.base_error is None or found.head_error is None or error == 0:
        return plain
    # Head - base and base vary together; twice their covariance, by what the three errors are.
    together = found.head_error**2 - found.base_error**2 - error**2
    sign = math.copysign(share, found.base) * (1 if higher_is_better else -1)
    variance = error**2 + (share * found.base_error) ** 2 + sign * together
    reach = found.delta - found.low if higher_is_better else found.high - found.delta
    return plain - max(math.sqrt(max(variance, 0.0)) / error - 1, 0.0) * reach
