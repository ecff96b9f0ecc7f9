"""Fairness: how far a metric lies apart between groups of examples. Layer: stats.

Groups are disjoint, so their estimates are independent. A gap of two groups is the difference, or the ratio, of two
estimates, and its interval comes from theirs without asking how they were made (MOVER: Zou and Donner 2008,
Statistics in Medicine 27:1693; for ratios Donner and Zou 2012, Statistical Methods in Medical Research 21:347; with
Wilson's intervals the difference is Newcombe's 1998 method 10). A cluster with examples in several groups ties their
estimates together; where its examples resemble each other that makes gaps less noisy than is assumed here, so the
intervals are on the safe side.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ci_ml.stats.estimate import (
    CONFIDENCE,
    Difference,
    Estimate,
    NotEstimable,
    TooFew,
    Undefined,
    identical,
    negligible,
)
from ci_ml.stats.normal import critical, implied_error, p_value

# A group's estimate at any confidence that is asked for.
Group = Callable[[float], Estimate]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The widest gap: between which groups (the higher first), and its estimate."""

    higher: str
    lower: str
    estimate: Estimate


def difference(higher: Estimate, lower: Estimate) -> Estimate:
    """The difference of two independent estimates with its MOVER interval, at their common confidence."""
    confidence = _common(higher, lower)
    value = higher.value - lower.value
    down = math.hypot(higher.value - higher.low, lower.high - lower.value)
    up = math.hypot(higher.high - higher.value, lower.value - lower.low)
    return Estimate(
        value=value,
        low=value - down,
        high=value + up,
        confidence=confidence,
        method=f"mover ({higher.method})",
        n=higher.n + lower.n,
    )


def ratio(above: Estimate, below: Estimate) -> Estimate:
    """The ratio of two independent estimates, none negative, with its MOVER-R interval.

    Raises Undefined if the denominator is 0, or its interval reaches 0 (then the ratio has no upper end).
    """
    confidence = _common(above, below)
    if min(above.low, below.low) < 0:
        raise Undefined("a ratio of estimates that may be negative says nothing")
    if below.low <= 0:
        raise Undefined("the ratio has no upper end: the interval of its denominator reaches 0")
    one, two = above.value, below.value
    product = one * two
    low = _root(product, above.low, below.high, one, two, -1)
    high = _root(product, above.high, below.low, one, two, 1)
    return Estimate(
        value=one / two,
        low=max(min(low, one / two), 0.0),
        high=max(high, one / two),
        confidence=confidence,
        method=f"mover ratio ({above.method})",
        n=above.n + below.n,
    )


def _root(product: float, above: float, below: float, one: float, two: float, sign: int) -> float:
    inner = max(product**2 - above * below * (2 * one - above) * (2 * two - below), 0.0)
    return (product + sign * math.sqrt(inner)) / (below * (2 * two - below))


def _common(one: Estimate, two: Estimate) -> float:
    if one.confidence != two.confidence:
        raise ValueError(f"estimates at different confidence, {one.confidence} and {two.confidence}, do not combine")
    return one.confidence


def widest(
    groups: Mapping[str, Group],
    confidence: float = CONFIDENCE,
    *,
    combine: Callable[[Estimate, Estimate], Estimate] = difference,
) -> Gap:
    """The largest gap between any two of the groups, with an interval that knows it was picked.

    The true gap is at least that of any pair, so the lower end is the best of the pairs' lower ends, corrected
    (Bonferroni) for the choice among them. It is the gap of one pair, whichever it is, so the upper end is the largest
    of the pairs' upper ends, which needs no correction. With many small groups that is wide: it is all they can tell.
    For `ratio` the gap is the smallest ratio of a lower to a higher group, and the ends change places.
    """
    return widest_of([groups], confidence, combine=combine)


def widest_of(
    metrics: Sequence[Mapping[str, Group]],
    confidence: float = CONFIDENCE,
    *,
    combine: Callable[[Estimate, Estimate], Estimate] = difference,
) -> Gap:
    """The largest gap of several metrics: equalized odds is the larger gap of recall and of 1 - specificity."""
    pairs = [pair for groups in metrics for pair in itertools.permutations(groups.items(), 2)]
    if not pairs:
        raise TooFew("a gap needs 2 groups or more")
    small = combine is ratio
    corrected = 1 - (1 - confidence) / len(pairs)
    plain = [combine(one(confidence), two(confidence)) for (_, one), (_, two) in pairs]
    strict = [combine(one(corrected), two(corrected)) for (_, one), (_, two) in pairs]
    at = (min if small else max)(range(len(pairs)), key=lambda index: plain[index].value)
    (first, _), (second, _) = pairs[at]
    found = plain[at]
    low, high = (
        (min(e.low for e in plain), min(e.high for e in strict))
        if small
        else (max(e.low for e in strict), max(e.high for e in plain))
    )
    estimate = Estimate(
        value=found.value,
        low=min(max(low, 0.0), found.value),
        high=max(min(high, 1.0) if small else high, found.value),
        confidence=confidence,
        method=f"widest of {len(pairs) // 2}: {found.method}",
        n=found.n,
    )
    return Gap(higher=second if small else first, lower=first if small else second, estimate=estimate)


# A group of one of the metrics, and a gap between two groups of one.
_Key = tuple[int, str]
_Between = tuple[_Key, _Key]


@dataclass(frozen=True)
class _Width:
    """How far apart two groups lie on a side, their difference or less their ratio, and its slopes in their values."""

    side: str
    value: float
    slopes: dict[_Key, float]


def change(
    metrics: Sequence[Mapping[str, Difference]], confidence: float = CONFIDENCE, *, ratio: bool = False
) -> Difference:
    """How much the widest gap of the head differs from that of the base.

    Takes each group's paired difference, with the standard errors of its sides, for every metric whose gaps count
    (equalized odds has two). Groups of one metric are disjoint, and so are those of two metrics that run over different
    labels, so their values are independent; a group's own are correlated between the sides (delta method, normal).

    The widest of noisy gaps is wider than the widest gap, most of all where groups are equally good: with the widest
    taken as known, every eighth model that tears two such groups apart is found harmless. So the ends allow for any
    gap to be the widest (`_most`). Raises NotEstimable if a group lacks a standard error, and Undefined for a ratio
    where every group has 0.
    """
    if not metrics or any(len(groups) < 2 for groups in metrics):
        raise TooFew("a gap needs 2 groups or more")
    base, head = (_widths(metrics, side, ratio=ratio) for side in ("base", "head"))
    one, two = (max(side.values(), key=lambda width: width.value) for side in (base, head))
    delta, error = two.value - one.value, _error(metrics, two, one)
    low, high = -_most(metrics, base, head, confidence), _most(metrics, head, base, confidence)
    sign = -1 if ratio else 1
    method = f"gap {'ratio ' if ratio else ''}(delta method)"
    n = sum(group.n for group in metrics[0].values())
    if all(negligible(number, one.value, two.value) for number in (low, high, delta)):  # what matters is identical
        return identical(sign * one.value, n=n, confidence=confidence, method=method)
    low, high = min(low, delta), max(high, delta)
    reach = high - delta if delta < 0 else delta - low
    return Difference(
        base=sign * one.value,
        head=sign * two.value,
        delta=sign * delta,
        low=-high if ratio else low,
        high=-low if ratio else high,
        p_value=p_value(critical(confidence) * delta / reach) if reach else 0.0,
        confidence=confidence,
        method=method,
        n=n,
        standard_error=error,
    )


def _widths(metrics: Sequence[Mapping[str, Difference]], side: str, *, ratio: bool) -> dict[_Between, _Width]:
    """The width of every gap of a side, either way round."""
    found: dict[_Between, _Width] = {}
    for index, groups in enumerate(metrics):
        values = {(index, name): float(getattr(group, side)) for name, group in groups.items()}
        if ratio and max(values.values()) <= 0:
            raise Undefined(f"the ratio of the {side} is undefined: every group has 0")
        for one, two in itertools.permutations(values, 2):
            first, second = values[one], values[two]
            if not ratio:
                found[one, two] = _Width(side, first - second, {one: 1.0, two: -1.0})
            elif second > 0:
                found[one, two] = _Width(side, -first / second, {one: -1 / second, two: first / second**2})
    return found


def _most(
    metrics: Sequence[Mapping[str, Difference]],
    one: Mapping[_Between, _Width],
    other: Mapping[_Between, _Width],
    confidence: float,
) -> float:
    """The upper end of how much wider the widest gap of `one` side is than that of the `other`.

    It is no more than the widest gap of the one side less any gap of the other: than that between the same two groups,
    where the pairing takes out most of the noise, or than the one that looks widest. The lesser of the two counts, and
    they share the chance of an error: nine tenths, and a tenth, which the choice of the widest divides once more
    (Bonferroni). Which gap of the one side is the widest is not known; the largest end counts.
    """
    tail = 1 - confidence
    plain, strict = critical(1 - 0.9 * tail), critical(1 - 0.1 * tail / len(other))
    widest = max(other.values(), key=lambda width: width.value)
    ends = []
    for between, width in one.items():
        end = width.value - widest.value + strict * _error(metrics, width, widest)
        same = other.get(between)
        if same is not None:
            end = min(end, width.value - same.value + plain * _error(metrics, width, same))
        ends.append(end)
    return max(ends)


def _error(metrics: Sequence[Mapping[str, Difference]], one: _Width, other: _Width) -> float:
    """The standard error of one side's width less the other's."""
    total = 0.0
    for index, name in one.slopes.keys() | other.slopes.keys():
        weights = {one.side: one.slopes.get((index, name), 0.0), other.side: -other.slopes.get((index, name), 0.0)}
        total += _variance(name, metrics[index][name], weights["base"], weights["head"])
    return math.sqrt(total)


def _variance(name: str, group: Difference, one: float, two: float) -> float:
    """The variance of one · base + two · head."""
    if one == two == 0:
        return 0.0
    if group.base_error is None or group.head_error is None:
        raise NotEstimable(f"group {name} has no standard errors, so a change of the gap has no interval")
    # From the interval, which has a width even where no example of the group happened to change.
    covariance = (group.base_error**2 + group.head_error**2 - implied_error(group) ** 2) / 2
    return max((one * group.base_error) ** 2 + (two * group.head_error) ** 2 + 2 * one * two * covariance, 0.0)
