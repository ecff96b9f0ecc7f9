"""ROC-AUC from placement values: DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837). Layer: stats.

The placement of a positive example is the share of negatives that score lower (ties count half), that of a negative
the share of positives that score higher; the mean of either is the AUC. The variance of an AUC, or of a difference,
is the sum over the two classes of the variance of a mean placement. An engine computes placements with two rank
windows (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389); `placements` is the same in numpy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats import special
from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, NoVariance, TooFew, Undefined, at_least
from ci_ml.stats.estimate import identical as same
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs
from ci_ml.stats.normal import critical, p_value
from ci_ml.stats.proportion import wilson
from ci_ml.stats.tango import PairedTable, tango

# Placements are quotients of ranks: two that are equal may differ by this much, and a variance by its square.
_ROUNDING = 1e-13


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs; shape of `values` (1-d)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def placements(positive: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The placement value of every example (shape: examples), in O(n log n).

    `positive` is True, or 1, for the positive class. Raises ValueError for scores that are not finite, with the first
    position, and Undefined if a class has no example.
    """
    truth, values = np.asarray(positive).astype(bool), np.asarray(scores, dtype=float)
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"the scores hold {values[where]} at position {where}, which is not a finite number")
    count = int(truth.sum())
    others = len(truth) - count
    _both_classes(count, others)
    overall, within = midranks(values), np.empty(len(values))
    within[truth], within[~truth] = midranks(values[truth]), midranks(values[~truth])
    return np.where(truth, (overall - within) / others, 1 - (overall - within) / count)


def _both_classes(positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise Undefined(f"ROC-AUC is undefined: there are {positives} positive and {negatives} negative examples")
    if min(positives, negatives) < 2:
        raise TooFew(f"{positives} positive and {negatives} negative examples: DeLong's interval needs 2 of each")


def of_scores(positive: ArrayLike, base: ArrayLike, head: ArrayLike) -> tuple[Pairs, Pairs]:
    """Placement moments of the positive and of the negative examples, from labels and both sides' scores."""
    truth = np.asarray(positive).astype(bool)
    one, two = placements(truth, base), placements(truth, head)
    return Pairs.of(one[truth], two[truth]), Pairs.of(one[~truth], two[~truth])


def auc_difference(
    positives: Pairs, negatives: Pairs, confidence: float = CONFIDENCE, *, identical: bool = False
) -> Difference:
    """The paired difference of two ROC-AUCs with DeLong's normal interval; as pROC's roc.test(paired = TRUE).

    Takes the moments of placement values by class. `identical` says that both sides rank all examples alike: only
    then is a variance of 0 an answer. Otherwise, if both separate the classes perfectly, the interval is Tango's for
    no discordant example among the smaller class; and NoVariance is raised for anything else that does not vary.
    """
    classes = (positives, negatives)
    return _difference(classes, _auc(classes), positives.delta, confidence, identical)


def _auc(classes: tuple[Pairs, Pairs]) -> float:
    return min(max(classes[0].base, 0.0), 1.0)


def _errors(strata: Sequence[Pairs]) -> tuple[float, float, float]:
    """Standard errors of the base, the head and the difference: variances of stratum means add up."""
    sums = [0.0, 0.0, 0.0]
    for stratum in strata:
        for index, variance in enumerate((stratum.base_variance, stratum.head_variance, stratum.delta_variance)):
            sums[index] += variance / stratum.n if variance > _ROUNDING**2 else 0.0
    return math.sqrt(sums[0]), math.sqrt(sums[1]), math.sqrt(sums[2])


def _difference(strata: Sequence[Pairs], base: float, delta: float, confidence: float, identical: bool) -> Difference:
    n = sum(stratum.n for stratum in strata)
    delta = 0.0 if abs(delta) <= _ROUNDING else delta
    base_error, head_error, error = _errors(strata)
    if identical:
        return same(base, n=n, confidence=confidence, method="delong", error=base_error)
    if error == 0:
        return _perfect(strata, base, delta, confidence)
    reach = critical(confidence) * error
    return Difference(
        base=base,
        head=base + delta,
        delta=delta,
        low=max(delta - reach, -1.0),
        high=min(delta + reach, 1.0),
        p_value=p_value(delta / error),
        confidence=confidence,
        method="delong",
        n=n,
        standard_error=error,
        base_error=base_error,
        head_error=head_error,
    )


def _perfect(strata: Sequence[Pairs], base: float, delta: float, confidence: float) -> Difference:
    if delta or base < 1 - _ROUNDING:
        raise NoVariance("delong: the scores differ, but no example's rank does, so there is no interval")
    smaller = min(stratum.n for stratum in strata)
    # The variance of an AUC is at most that of a proportion of the smaller class (Birnbaum and Klose 1957).
    bound = tango(PairedTable(both_right=smaller, only_base=0, only_head=0, both_wrong=0), confidence)
    return Difference(
        base=1.0,
        head=1.0,
        delta=0.0,
        low=bound.low,
        high=bound.high,
        p_value=1.0,
        confidence=confidence,
        method="delong (bound for perfect separation)",
        n=sum(stratum.n for stratum in strata),
    )


def auc_value(
    positives: Pairs,
    negatives: Pairs,
    confidence: float = CONFIDENCE,
    *,
    head: bool = True,
    logit: bool = False,
) -> Estimate:
    """One side's ROC-AUC with DeLong's interval, cut off at 0 and 1 as pROC's ci.auc does.

    `logit` computes it on the log-odds scale, where it needs no cutting off and covers better near 1; the plain one
    is the default because it is what other tools report. An AUC of exactly 0 or 1 has no variance: then the interval is
    Wilson's for the smaller class, whose variance bounds that of any AUC (Birnbaum and Klose 1957).
    """
    classes = (positives, negatives)
    point = min(max(positives.head if head else positives.base, 0.0), 1.0)
    error = _errors(classes)[1 if head else 0]
    return _value(point, error, [stratum.n for stratum in classes], confidence, logit)


def _value(point: float, error: float, sizes: list[int], confidence: float, logit: bool) -> Estimate:
    n = sum(sizes)
    if error == 0:
        if min(point, 1 - point) > _ROUNDING:
            raise NoVariance("delong: every example has the same rank, so the AUC has no interval")
        smaller = min(sizes)
        bound = wilson(smaller if point > 0.5 else 0, smaller, confidence)
        low, high, method = min(bound.low, point), max(bound.high, point), "delong (bound for perfect separation)"
    elif logit:
        odds, reach = special.logit(point), critical(confidence) * error / (point * (1 - point))
        low, high, method = special.expit(odds - reach), special.expit(odds + reach), "delong (logit)"
    else:
        reach = critical(confidence) * error
        low, high, method = max(point - reach, 0.0), min(point + reach, 1.0), "delong"
    return Estimate(
        value=point, low=low, high=high, confidence=confidence, method=method, n=n, standard_error=error or None
    )


def macro_of_scores(labels: ArrayLike, base: ArrayLike, head: ArrayLike) -> tuple[Pairs, ...]:
    """Moments for `macro_difference`, one per class, from labels 0..K-1 (shape: n) and scores (shape: n x K).

    An example is a positive of its own class and a negative of every other. Its number is the sum of its placements,
    each divided by the size of the group it is averaged over, times the size of its class / K: so the class means
    of these numbers add up to the macro average.
    """
    truth = np.asarray(labels)
    one, two = np.asarray(base, dtype=float), np.asarray(head, dtype=float)
    classes = one.shape[1]
    sizes = np.bincount(truth, minlength=classes)
    numbers = np.zeros((2, len(truth)))
    for which in range(classes):
        own = truth == which
        weight = np.where(own, 1 / sizes[which], 1 / (len(truth) - sizes[which])) if sizes[which] else 0.0
        numbers[0] += placements(own, one[:, which]) * weight
        numbers[1] += placements(own, two[:, which]) * weight
    numbers *= sizes[truth] / classes
    return tuple(Pairs.of(numbers[0][truth == which], numbers[1][truth == which]) for which in range(classes))


def macro_difference(strata: Sequence[Pairs], confidence: float = CONFIDENCE, *, identical: bool = False) -> Difference:
    """The difference of macro-averaged one-vs-rest AUCs, with the covariance between the classes' curves.

    To first order the macro average is a sum over examples of what `macro_of_scores` describes, and examples of
    different classes are independent, so variances of class means add up; for two classes this is `auc_difference`.
    """
    base, delta = _macro(strata)
    return _difference(strata, base, delta, confidence, identical)


def _macro(strata: Sequence[Pairs]) -> tuple[float, float]:
    at_least("classes", len(strata))
    # Every AUC is counted twice in the sum: as the mean placement of its positives and as that of its negatives.
    return sum(stratum.base for stratum in strata) / 2, sum(stratum.delta for stratum in strata) / 2


def macro_value(strata: Sequence[Pairs], confidence: float = CONFIDENCE, *, head: bool = True) -> Estimate:
    """One side's macro-averaged one-vs-rest AUC with its interval; `strata` as for `macro_difference`."""
    base, delta = _macro(strata)
    error = _errors(strata)[1 if head else 0]
    return _value(min(base + delta * head, 1.0), error, [stratum.n for stratum in strata], confidence, False)


@dataclass(frozen=True, kw_only=True)
class ClusterPlacements:
    """Sums over clusters for Obuchowski's interval.

    `totals` sums, per cluster, six columns: number of positives, their base placements, their head's less base's,
    and the same three for negatives. `with_positives` and `with_negatives` count the clusters that have any.
    """

    totals: Totals
    with_positives: int
    with_negatives: int


def clustered_difference(
    sums: ClusterPlacements, confidence: float = CONFIDENCE, *, identical: bool = False
) -> Difference:
    """The difference of ROC-AUCs for clustered examples: Obuchowski (1997, Biometrics 53:567), t with C - 1.

    With one example per cluster the standard error is DeLong's. Raises NoVariance like `auc_difference`.
    """
    totals = sums.totals
    base, delta = _clustered_point(sums)
    if identical:
        return same(base, n=totals.n, clusters=totals.units, confidence=confidence, method="obuchowski")
    errors = [_clustered_error(sums, column, base + delta if column == "head" else base, delta) for column in _COLUMNS]
    df = totals.units - 1
    reach = critical(confidence, df) * errors[2]
    return Difference(
        base=base,
        head=base + delta,
        delta=delta,
        low=max(delta - reach, -1.0),
        high=min(delta + reach, 1.0),
        p_value=p_value(delta / errors[2], df) if errors[2] else 0.0,
        confidence=confidence,
        method="obuchowski",
        n=totals.n,
        clusters=totals.units,
        standard_error=errors[2],
        df=df,
        base_error=errors[0],
        head_error=errors[1],
    )


# Which of (base, change) columns add up to the column whose variance is wanted.
_COLUMNS = {"base": (1, 0), "head": (1, 1), "delta": (0, 1)}


def _clustered_point(sums: ClusterPlacements) -> tuple[float, float]:
    positives, base, change, negatives, _, _ = sums.totals.sums.tolist()
    _both_classes(int(positives), int(negatives))
    at_least("clusters with positive examples", sums.with_positives)
    at_least("clusters with negative examples", sums.with_negatives)
    return base / positives, change / positives


def _clustered_error(sums: ClusterPlacements, column: str, value: float, delta: float) -> float:
    totals, units = sums.totals, sums.totals.units
    center = delta if column == "delta" else value
    positives, negatives = totals.sums[0], totals.sums[3]
    above = np.array([-center, *_COLUMNS[column], 0, 0, 0]) / positives
    below = np.array([0, 0, 0, -center, *_COLUMNS[column]]) / negatives
    parts = (
        (above, above, sums.with_positives / (sums.with_positives - 1)),
        (below, below, sums.with_negatives / (sums.with_negatives - 1)),
        (above, below, 2 * units / (units - 1)),
    )
    variance = sum(factor * float(one @ totals.products @ two) for one, two, factor in parts)
    return math.sqrt(variance) if variance > _ROUNDING**2 else 0.0


def clustered_value(sums: ClusterPlacements, confidence: float = CONFIDENCE, *, head: bool = True) -> Estimate:
    """One side's ROC-AUC for clustered examples with Obuchowski's interval, cut off at 0 and 1."""
    base, delta = _clustered_point(sums)
    point = base + delta * head
    error = _clustered_error(sums, "head" if head else "base", point, delta)
    if error == 0:
        raise NoVariance("obuchowski: no cluster's ranks differ from another's, so the AUC has no interval")
    df = sums.totals.units - 1
    reach = critical(confidence, df) * error
    return Estimate(
        value=min(max(point, 0.0), 1.0),
        low=max(point - reach, 0.0),
        high=min(point + reach, 1.0),
        confidence=confidence,
        method="obuchowski",
        n=sums.totals.n,
        clusters=sums.totals.units,
        standard_error=error,
        df=df,
    )
