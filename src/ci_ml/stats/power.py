"""What a test set can decide: the smallest margin it holds, and the examples a margin needs. Layer: stats.

Held means that the interval's bad end is not beyond the margin. The noise of an estimate shrinks with the square root
of the number of examples (or of clusters), whatever the method, and how noisy it is, its interval says; where few
examples differ between the sides, Tango's interval does not shrink like that, so it is asked itself.
"""

import math

from ci_ml.stats.estimate import CONFIDENCE, Difference, NoVariance, at_least, finite, share
from ci_ml.stats.normal import critical, implied_error
from ci_ml.stats.special import normal_quantile, t_quantile
from ci_ml.stats.tango import upper

POWER = 0.8

# More examples than this are as good as none: nobody has them, and floats no longer count them.
_MOST = 2**53


def _quantile(power: float, df: float | None) -> float:
    share("the power", power)
    return normal_quantile(power) if df is None else t_quantile(power, df)


def smallest_margin(
    standard_error: float, *, confidence: float = CONFIDENCE, power: float = POWER, df: float | None = None
) -> float:
    """The smallest margin that a model as good as the base holds with probability `power`, in the metric's units.

    Raises NoVariance for a standard error of 0.
    """
    finite("the standard error", standard_error)
    if standard_error <= 0:
        raise NoVariance("a standard error of 0 says nothing about what the test set can hold")
    return (critical(confidence, df) + _quantile(power, df)) * standard_error


def smallest_margin_of(found: Difference, power: float = POWER) -> float | None:
    """The smallest margin that a model as good as the base holds with probability `power` on test sets like this one.

    It is assumed to differ from the base as much as this head does, though for better as often as for worse. None for
    sides that are identical: they do not show how much two trainings of one model differ.
    """
    discordant = _discordant(found)
    if discordant is not None:
        return _tango(discordant, found.n, found.confidence, power)
    usual, error = _usual(found)
    if error <= 0:
        return None
    return usual + smallest_margin(error, confidence=found.confidence, power=power, df=found.df)


def examples_needed(
    n: int,
    standard_error: float,
    margin: float,
    *,
    better: float = 0.0,
    confidence: float = CONFIDENCE,
    power: float = POWER,
    df: float | None = None,
) -> int | None:
    """How many examples (or clusters) decide about `margin` with probability `power`.

    `n` and `standard_error` are those at hand, and so is `df`, which grows with them. `better` is the true difference,
    positive when the head is better: at 0, or anything above -margin, the head comes out as held; below, as worse than
    the margin. None at exactly the margin, which no number of examples decides, and where it would take more than
    2^53. Connor (1987, Biometrics 43:207) for paired proportions.
    """
    finite("the margin, or the difference", margin, better)
    at_least("examples", n)
    distance = abs(margin + better)
    needed, grown = float(n), df
    for _ in range(50 if df else 1):  # the fewer degrees of freedom, the more examples, which bring more of them
        reach = smallest_margin(standard_error, confidence=confidence, power=power, df=grown)
        if reach * math.sqrt(n) >= distance * math.sqrt(_MOST):
            return None
        before, needed = needed, n * (reach / distance) ** 2
        if df is None or abs(needed - before) <= 1e-9 * before:
            break
        grown = max(df * needed / n, 1.0)
    return max(2, math.ceil(needed * (1 - 1e-12)))


def needed(found: Difference, margin: float, *, better: float = 0.0, power: float = POWER) -> int | None:
    """How many examples (or clusters) decide about `margin` with probability `power`; see `examples_needed`.

    `better` is the true change that is assumed; at 0, the head is taken to be as good as the base. None where no number
    would do, where the sides are identical, and where both seeds and examples make the noise: then it depends on how
    many more there are of either.
    """
    finite("the margin, or the difference", margin, better)
    usual, error = _usual(found)
    if error <= 0 or found.method == "repeats (seeds and examples)":
        return None
    discordant = _discordant(found)
    if discordant is not None and better == 0 < margin:
        return _tango_needs(discordant / found.n, margin, found.confidence, power)
    usual = 0.0 if better else usual
    if usual and usual >= margin:
        return None
    units = found.n if found.clusters is None else found.clusters
    return examples_needed(
        units, error, margin, better=better - usual, confidence=found.confidence, power=power, df=found.df
    )


def deciding(found: Difference, margin: float, *, higher_is_better: bool, power: float = POWER) -> int | None:
    """How many examples (or clusters) would decide, with probability `power`, if the head truly is what it seems to be.

    Then it comes out as held if it lost less than the margin; if more, as regressed: with an interval wholly on the
    bad side of 0, around a loss beyond the margin. None as for `needed`.
    """
    better = found.delta if higher_is_better else -found.delta
    if better >= -margin:
        return needed(found, margin, better=better, power=power)
    worse = needed(found, 0.0, better=better, power=power)
    units = found.n if found.clusters is None else found.clusters
    beyond = units * (_quantile(power, None) * implied_error(found) / (better + margin)) ** 2
    return None if worse is None or beyond > _MOST else max(worse, math.ceil(beyond))


def _usual(found: Difference) -> tuple[float, float]:
    """The change that a model like this head shows though it is no worse, and the standard error of its bad end.

    The change is 0 but for flips, of which the base can have none; their interval has a longer end towards more.
    """
    if found.base == found.base_error == 0 <= found.delta and not found.identical:
        return found.delta, (found.high - found.delta) / critical(found.confidence, found.df)
    return 0.0, implied_error(found)


# --- Tango's interval ---


def _discordant(found: Difference) -> float | None:
    """How many examples the sides differ on, 1 or more; None where the interval is not Tango's.

    A table that shows none does not prove that there are none.
    """
    if found.method != "tango" or found.clusters is not None or found.standard_error is None or found.identical:
        return None
    return max(found.n * (found.n * found.standard_error**2 + found.delta**2), 1.0)


def _tango(discordant: float, n: float, confidence: float, power: float) -> float:
    """How far the bad end lies from 0 in the worst of `power` tables in which so many differ, either way as often."""
    more = max(_quantile(power, None), 0.0) * math.sqrt(discordant)
    won = max((discordant - more) / 2, 0.0)
    return upper(won, won + more, n, critical(confidence))


def _tango_needs(rate: float, margin: float, confidence: float, power: float) -> int | None:
    """The smallest n for which `_tango` is no more than the margin, by bisection."""

    def held(n: int) -> bool:
        return _tango(rate * n, n, confidence, power) <= margin * (1 + 1e-9)

    low, high = 1, 2
    while not held(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if held(middle) else (middle, high)
    return high
