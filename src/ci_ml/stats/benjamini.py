"""Benjamini and Hochberg's correction over a family of tests. Layer: stats."""

from collections.abc import Sequence

from ci_ml.stats.estimate import finite


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values (1995, Journal of the Royal Statistical Society B 57:289), in the order given.

    Of the tests whose answer is at most alpha, a share of alpha is wrong on average; and where nothing differs at all,
    the chance of any claim is at most alpha. Both hold for independent tests and for those that rise and fall
    together. Raises ValueError for what is not within 0..1.
    """
    finite("the p-values", *p_values)
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value lies between 0 and 1")
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    answers = [0.0] * len(p_values)
    smallest = 1.0
    for rank, index in zip(range(len(p_values), 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        answers[index] = smallest
    return tuple(answers)
