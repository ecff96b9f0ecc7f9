"""Comparing two plain numbers under a margin. Layer: stats.

A number in a file carries no interval, so all that can be asked is whether it moved further than allowed. The
traps are floating point's: 0.90 - 0.89 is 0.010000000000000009, and a loss of exactly the margin is acceptable.
"""

# Far above the rounding of a few additions (2.2e-16 each), far below any difference a metric file means to express.
RELATIVE_TOLERANCE = 1e-12


def exceeds(amount: float, limit: float, *, scale: float) -> bool:
    """Whether `amount` is larger than `limit` by more than rounding.

    `scale` is the magnitude of the numbers whose difference `amount` is (same unit); rounding errors are
    proportional to it, not to the difference.
    """
    return amount - limit > RELATIVE_TOLERANCE * max(abs(scale), abs(limit))
