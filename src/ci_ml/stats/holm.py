"""Holm's correction over a family of claims. Layer: stats."""

from collections.abc import Sequence

from ci_ml.stats.estimate import CONFIDENCE, Difference, finite, share


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values (1979, Scandinavian Journal of Statistics 6:65), in the order given.

    Equal p-values get equal answers, whatever their order. Raises ValueError for what is not within 0..1.
    """
    finite("the p-values", *p_values)
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value lies between 0 and 1")
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    answers = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        answers[index] = largest
    return tuple(answers)


def regressions(
    family: Sequence[Difference], *, higher_is_better: bool, confidence: float = CONFIDENCE
) -> tuple[bool, ...]:
    """Which members of a family got worse, with one wrong claim or more in at most (1 - confidence) of families.

    The interval that is shown decides whether there is a claim: it must lie wholly on the bad side of 0. Holm's
    correction can only take claims away. The family is everything that was looked at, claims or not.
    """
    share("the confidence", confidence)
    corrected = adjusted([member.p_value for member in family])
    worse = [member.high < 0 if higher_is_better else member.low > 0 for member in family]
    return tuple(claim and p <= 1 - confidence for claim, p in zip(worse, corrected, strict=True))
