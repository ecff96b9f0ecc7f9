"""How far two lists of shares lie apart: the total variation distance, with a bound. Layer: stats."""

import numpy as np
from numpy.typing import NDArray

from ci_ml.stats.special import normal_quantile

Array = NDArray[np.float64]


def total_variation(base: Array, head: Array, confidence: float) -> tuple[float, float]:
    """The distance of the shares behind two lists of counts, from 0 to 1, and what it is at least.

    It is half of the sum of |p - q|, the largest difference in probability that any set of categories has. Noise
    alone makes it positive, so what noise makes of two tables without a difference is taken off the lower end: the mean
    of |N(0, s^2)| is s * sqrt(2/pi), category by category. Around that it is as noisy as a difference of two means;
    the bound is one-sided.
    Raises ValueError for an empty list, or one without counts.
    """
    m, n = float(base.sum()), float(head.sum())
    if not m or not n:
        raise ValueError("there is nothing to take shares of")
    p, q = base / m, head / n
    distance = float(np.abs(q - p).sum() / 2)
    together = (base + head) / (m + n)
    noise = float(np.sqrt(2 / np.pi * together * (1 - together) * (1 / m + 1 / n)).sum() / 2)
    sign = np.sign(q - p)
    spread = sum((share.sum() - float((sign * share).sum()) ** 2) / size for share, size in ((p, m), (q, n)))
    half = -normal_quantile(1 - confidence) * float(np.sqrt(max(spread, 0.0))) / 2
    return distance, max(0.0, distance - noise - half)
