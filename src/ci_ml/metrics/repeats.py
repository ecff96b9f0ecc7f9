"""Several seeds per side: one statistic from those of each pair of tables. Layer: metrics."""

from collections.abc import Sequence
from functools import partial

from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import repeats
from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.normal import implied_error


def combined(found: Sequence[Statistics], base: int, head: int) -> Statistics:
    """One statistic per metric and slice, from pairs of tables; pair k is of base seed k % `base` and head k % `head`.

    A slice is there when every pair has it, and all of them do: they are of the same examples.
    """
    shared = set.intersection(*(set(one) for one in found))
    return {
        key: Statistic(
            difference=partial(_difference, [one[key] for one in found], base, head),
            value=partial(_value, [one[key] for one in found], base, head),
        )
        for key in shared
    }


def _difference(pairs: Sequence[Statistic], base: int, head: int, confidence: float) -> Difference:
    found = [pair.difference(confidence) for pair in pairs]
    return repeats.difference(
        [one.base for one in found[:base]],
        [one.head for one in found[:head]],
        n=found[0].n,
        clusters=found[0].clusters,
        example_variance=sum(implied_error(one) ** 2 for one in found) / len(found),
        confidence=confidence,
    )


def _value(pairs: Sequence[Statistic], base: int, head: int, confidence: float, of_head: bool) -> Estimate:
    found = [pair.value(confidence, of_head) for pair in pairs[: head if of_head else base]]
    return repeats.value(
        [one.value for one in found],
        n=found[0].n,
        clusters=found[0].clusters,
        example_variance=sum(implied_error(one) ** 2 for one in found) / len(found),
        confidence=confidence,
    )
