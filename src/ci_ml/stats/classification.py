"""Differences and values of classification metrics, with their intervals. Layer: stats.

Which interval judges which difference:

- a proportion of examples that are fixed beforehand (accuracy, error rate, recall, specificity, micro averages, which
  are accuracies) is a paired 2x2 table: Tango's interval;
- everything else, when at least `FEW` examples were predicted differently: the percentiles of 9,999 seeded
  multinomial draws, which is the bootstrap over examples (`draws`);
- otherwise, for tables of more than `MANY` occupied cells, and where all draws are alike: the adjusted delta method
  (`adjusted`). At a true loss of exactly the margin a bootstrap with few changes takes up to 15 % of losses for
  harmless where 2.5 % are allowed.

Draws and adjusted delta method agree to a few per cent of the width at `FEW`, and ever better above.
0/0 raises `Undefined`, with the side and the reason.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ci_ml.stats import adjusted, draws
from ci_ml.stats.confusion import Metric, lowest, point, predicted
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import CONFIDENCE, Difference, Estimate, NoVariance, identical
from ci_ml.stats.influence import Influence
from ci_ml.stats.influence import difference as linearized
from ci_ml.stats.influence import value as linearized_value
from ci_ml.stats.normal import p_value
from ci_ml.stats.proportion import wilson
from ci_ml.stats.scores import Side
from ci_ml.stats.tango import PairedTable, tango

FEW = 50
MANY = 2_000

# These metrics lie within -1..1: an interval this narrow needs billions of examples, or its width is rounding's.
_ROUNDING = 1e-10

_ENDS = {"draws": draws.ends, "delta": adjusted.ends}
_NAMES = {"draws": "multinomial draws", "delta": "adjusted delta method"}


def difference(counts: Counts, metric: Metric, confidence: float = CONFIDENCE, method: str | None = None) -> Difference:
    """Head - base of a metric with its interval; the module says which.

    `method` asks for one: "draws" or "delta". Sides that predict alike differ by exactly 0. Raises Undefined for 0/0,
    TooFew if 0/0 is so near that more than a tail of the draws comes to it, and NoVariance if the predictions differ
    in a way that the metric does not see at all.
    """
    if metric.which is not None and counts.classes > 2:
        return difference(counts.one_vs_rest(metric.which), Metric(name=metric.name, which=1), confidence, method)
    base, head = point(counts, metric, "base"), point(counts, metric, "head")
    if method is None and (table := proportion(counts, metric)):
        found = tango(table, confidence)
        return _mirrored(found) if metric.name == "error_rate" else found
    if not counts.changed:
        error = adjusted.errors(counts, metric)[0]
        return identical(base, n=counts.n, confidence=confidence, method=_NAMES["draws"], error=error)
    method, low, high = _ends(counts, metric, confidence, method)
    delta, most = head - base, 1 - lowest(metric)
    errors = adjusted.errors(counts, metric)
    # With few changes the plain error is too small for a p-value, too.
    largest = max(errors[2], adjusted.errors(adjusted.padded(counts), metric)[2])
    return Difference(
        base=base,
        head=head,
        delta=delta,
        low=max(min(low, delta), -most),
        high=min(max(high, delta), most),
        p_value=p_value(delta / largest) if largest else 0.0,
        confidence=confidence,
        method=_NAMES[method],
        n=counts.n,
        standard_error=errors[2],
        base_error=errors[0],
        head_error=errors[1],
    )


def _ends(counts: Counts, metric: Metric, confidence: float, asked: str | None) -> tuple[str, float, float]:
    """Which method judges, and both ends of its interval."""
    method = asked or ("delta" if counts.changed < FEW or len(counts.count) > MANY else "draws")
    low, high = _ENDS[method](counts, metric, confidence)
    if high - low < _ROUNDING and asked is None:
        # All draws are alike where all examples of a class are lost. Pseudo-examples say that it need not be all.
        method = "delta"
        low, high = adjusted.ends(counts, metric, confidence)
    if high - low < _ROUNDING:
        raise NoVariance(f"{metric}: the predictions differ, but it does not vary, so there is no interval")
    return method, low, high


def proportion(counts: Counts, metric: Metric) -> PairedTable | None:
    """The paired 2x2 table that decides the metric; None if there is none."""
    rows: NDArray[np.bool_] = np.ones(len(counts.count), dtype=bool)
    if metric.which is not None and metric.name in {"recall", "specificity"}:
        rows = (counts.label == metric.which) == (metric.name == "recall")
    elif metric.name not in {"accuracy", "error_rate"} and (metric.average != "micro" or metric.name == "specificity"):
        return None
    base, head = counts.base == counts.label, counts.head == counts.label
    parts = (base & head, base & ~head, ~base & head, ~base & ~head)
    numbers = [int(counts.count[rows & part].sum()) for part in parts]
    return PairedTable(both_right=numbers[0], only_base=numbers[1], only_head=numbers[2], both_wrong=numbers[3])


def _mirrored(found: Difference) -> Difference:
    """The same for 1 - the metric."""
    return Difference(
        base=1 - found.base,
        head=1 - found.head,
        delta=-found.delta,
        low=-found.high,
        high=-found.low,
        p_value=found.p_value,
        confidence=found.confidence,
        method=found.method,
        n=found.n,
        standard_error=found.standard_error,
        base_error=found.base_error,
        head_error=found.head_error,
    )


def value(counts: Counts, metric: Metric, side: str = "head", confidence: float = CONFIDENCE) -> Estimate:
    """One side's own value with its interval, for floors and ceilings.

    Wilson's for what is a proportion (accuracy, error rate, precision, recall, specificity, micro averages), and for
    F1, which is 2 J / (1 + J) of the proportion J = hits / (labels + predictions - hits); otherwise the adjusted delta
    method. Raises Undefined for 0/0, and TooFew if the proportion is one of fewer than 2 examples.
    """
    if metric.which is not None and counts.classes > 2:
        return value(counts.one_vs_rest(metric.which), Metric(name=metric.name, which=1), side, confidence)
    found = point(counts, metric, side)
    part = _part(counts.side(predicted(counts, side)), metric)
    if part is not None:
        hits, n, scale = part
        bound = wilson(hits, n, confidence)
        low, high, method, error = scale(bound.low), scale(bound.high), bound.method, None
    else:
        low, high = adjusted.side_ends(counts, metric, side, confidence)
        n, method, error = counts.n, _NAMES["delta"], adjusted.side_error(counts, metric, side)
    return Estimate(
        value=found,
        low=max(min(low, found), lowest(metric)),
        high=min(max(high, found), 1.0),
        confidence=confidence,
        method=method,
        n=n,
        standard_error=error,
    )


def _part(side: Side, metric: Metric) -> tuple[int, int, Callable[[float], float]] | None:
    """Successes, trials, and what turns their proportion into the metric; None if it is not one."""
    n, hits = int(side.n), int(side.hits.sum())
    if metric.name == "error_rate":
        return n - hits, n, _same
    if metric.name == "accuracy" or (metric.average == "micro" and metric.name != "specificity"):
        return hits, n, _same
    if metric.which is None:
        return None
    hits, labels, guesses = (int(part[metric.which]) for part in (side.hits, side.labels, side.predictions))
    return {
        "precision": (hits, guesses, _same),
        "recall": (hits, labels, _same),
        "specificity": (n - labels - guesses + hits, n - labels, _same),
        "f1": (hits, labels + guesses - hits, _harmonic),
    }[metric.name]


def _same(proportion: float) -> float:
    return proportion


def _harmonic(proportion: float) -> float:
    return 2 * proportion / (1 + proportion)


def clustered_difference(
    counts: Counts,
    metric: Metric,
    *,
    clusters: int,
    base_squares: float,
    delta_squares: float,
    products: float,
    confidence: float = CONFIDENCE,
) -> Difference:
    """The difference for clustered examples, t with C - 1 degrees of freedom.

    The sums run over clusters: squares of a cluster's total influence (`confusion.influence`) on the base, on
    head - base, and their product.
    """
    found = _clusters(counts, metric, clusters, base_squares, delta_squares, products)
    return linearized(found, method="clustered t", confidence=confidence)


def clustered_value(
    counts: Counts,
    metric: Metric,
    *,
    clusters: int,
    base_squares: float,
    delta_squares: float,
    products: float,
    head: bool = True,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """One side's value for clustered examples; the sums as for `clustered_difference`."""
    found = _clusters(counts, metric, clusters, base_squares, delta_squares, products)
    return linearized_value(found, head=head, method="clustered t", confidence=confidence, within=(lowest(metric), 1.0))


def _clusters(counts: Counts, metric: Metric, clusters: int, base: float, delta: float, products: float) -> Influence:
    one, two = point(counts, metric, "base"), point(counts, metric, "head")
    return Influence(
        n=counts.n,
        units=clusters,
        base=one,
        delta=two - one,
        base_squares=base,
        delta_squares=delta,
        products=products,
        clusters=True,
    )
