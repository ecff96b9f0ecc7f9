"""Two estimates from different examples: what is measured now against what was recorded. Layer: stats.

The interval comes from those of the two estimates without asking how they were made (MOVER: Zou and Donner 2008,
Statistics in Medicine 27:1693; with Wilson's intervals it is Newcombe's 1998 method 10).
"""

from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.gaps import difference as mover
from ci_ml.stats.normal import implied_error, p_value


def difference(base: Estimate, head: Estimate) -> Difference:
    """Head - base of two independent estimates, at their common confidence; `n` counts the head's examples.

    The p-value is that of a normal with the standard error that the end of the interval towards 0 implies, so it says
    what the interval says. Raises ValueError for different confidences.
    """
    found = mover(head, base)
    delta = found.value
    towards = delta - found.low if delta > 0 else found.high - delta
    error = implied_error(found)
    reach = error * 2 * towards / (found.high - found.low)
    return Difference(
        base=base.value,
        head=head.value,
        delta=delta,
        low=found.low,
        high=found.high,
        p_value=p_value(delta / reach) if reach else 0.0,
        confidence=found.confidence,
        method=f"independent (mover, {head.method})",
        n=head.n,
        clusters=head.clusters,
        standard_error=error,
        base_error=implied_error(base),
        head_error=implied_error(head),
    )
