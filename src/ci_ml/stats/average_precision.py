"""Average precision, and the influence of each example on it. Layer: stats.

AP = Σ (recall_k - recall_{k-1}) · precision_k over the distinct scores, as scikit-learn defines it: the mean, over
positive examples, of the precision among all examples that score at least as high. Its interval is that of the
linearized estimate: Student's t, with as many degrees of freedom as positives (or clusters with any) less one, because
the positives carry the noise. Examples are drawn with their labels, so the share of positives varies too, as in a
bootstrap over rows.

With a, f = how many positives and negatives score at least as high as an example j, T = a + f, and m positives, the
influence of an example i is (1 / m) times

    P_i - AP + Σ (1 - P_j) / T_j    for a positive,
             - Σ      P_j  / T_j    for a negative,

both sums over positives j that score no higher than i: putting i above them changes the precision where they are.
An engine computes a and f with one window over the scores in descending order, and the two sums with one in
ascending order; ties belong together in both.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ci_ml.stats import influence
from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, TooFew, Undefined
from ci_ml.stats.influence import Influence
from ci_ml.stats.normal import critical
from ci_ml.stats.special import expit, logit

METHOD = "linearized average precision"


def influences(positive: ArrayLike, scores: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    """Average precision, and the influence of every example on it (shape: examples; 0 in sum), in O(n log n).

    Raises Undefined without positive examples, TooFew with one, ValueError for scores that are not finite.
    """
    truth, values = np.asarray(positive).astype(bool), np.asarray(scores, dtype=float)
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"the scores hold {values[where]} at position {where}, which is not a finite number")
    positives = int(truth.sum())
    if not positives:
        raise Undefined("average precision is undefined: there is no positive example")
    _enough(positives)
    # Groups of equal scores, in descending order.
    _, group = np.unique(-values, return_inverse=True)
    hits: NDArray[np.float64] = np.bincount(group, weights=truth).astype(float)
    size = np.bincount(group)
    reached, found = np.cumsum(size), np.cumsum(hits)
    precision = found / reached
    value = float(hits @ precision) / positives
    gained = np.cumsum((hits * (1 - precision) / reached)[::-1])[::-1]
    lost = np.cumsum((hits * precision / reached)[::-1])[::-1]
    per_group = np.where(truth, (precision - value + gained)[group], -lost[group])
    return value, per_group / positives


def of_scores(positive: ArrayLike, base: ArrayLike, head: ArrayLike, clusters: ArrayLike | None = None) -> Influence:
    """What `influence.difference` and `influence.value` need, from labels and both sides' scores.

    `clusters` gives each example the number of its cluster (0..C-1).
    """
    one, on_base = influences(positive, base)
    two, on_head = influences(positive, head)
    change = on_head - on_base
    n = len(on_base)
    if clusters is not None:
        which = np.asarray(clusters)
        on_base, change = (np.bincount(which, weights=part).astype(float) for part in (on_base, change))
    return Influence.of(on_base, change, value=one, delta=two - one, n=n, clusters=clusters is not None)


def _enough(positives: int) -> None:
    if positives < 2:
        raise TooFew("1 positive example, or cluster with any: the interval of an average precision needs 2 or more")


def difference(found: Influence, positives: int, confidence: float = CONFIDENCE) -> Difference:
    """Head - base of average precision, from the sums of its influences and the number of positive examples.

    With clusters, `positives` counts those that hold a positive example. Fewer than some 200 clusters make it a little
    too hopeful: with 100 of them, 3.3 % of losses of exactly the margin are held where 2.5 % are allowed.
    """
    _enough(positives)
    df = min(positives, found.units) - 1
    return influence.difference(found, method=METHOD, confidence=confidence, df=df)


def value(found: Influence, positives: int, *, head: bool = True, confidence: float = CONFIDENCE) -> Estimate:
    """One side's average precision with its interval, computed on the log-odds scale, where it is less lopsided.

    `positives` as for `difference`. An average precision of 1 has no variance: raises NoVariance.
    """
    _enough(positives)
    df = min(positives, found.units) - 1
    plain = influence.value(found, head=head, method=METHOD, confidence=confidence, df=df)
    assert plain.standard_error is not None
    if not 0 < plain.value < 1:
        return plain
    odds = logit(plain.value)
    reach = critical(confidence, df) * plain.standard_error / (plain.value * (1 - plain.value))
    low, high = expit(odds - reach), expit(odds + reach)
    return dataclasses.replace(plain, low=low, high=high, method=f"{METHOD} (logit)")
