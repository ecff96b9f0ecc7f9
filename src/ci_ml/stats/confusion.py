"""The metrics of (label, prediction) counts, their values, and the influence of an example. Layer: stats."""

import math
from dataclasses import dataclass

import numpy as np

from ci_ml.stats import scores
from ci_ml.stats.counts import Counts, Integers
from ci_ml.stats.estimate import Undefined
from ci_ml.stats.scores import Array, Side, Slope


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of counts: its name, and over several classes an average, or the one class (0..K-1) that is meant.

    Names: accuracy error_rate balanced_accuracy mcc kappa; and, with `average` (macro, micro, weighted) or `which`,
    precision recall specificity f1.
    """

    name: str
    average: str | None = None
    which: int | None = None

    def __post_init__(self) -> None:
        if self.name in scores.PER_CLASS:
            if (self.average is None) == (self.which is None):
                raise ValueError(f"{self.name} needs a class, or an average, and not both")
            if self.average not in {None, "macro", "micro", "weighted"}:
                raise ValueError(f"{self.average} is not an average; these are: macro, micro, weighted")
        elif self.name not in {*scores.OVERALL, "error_rate"}:
            raise ValueError(f"{self.name} is not a metric of counts")
        elif self.average is not None or self.which is not None:
            raise ValueError(f"{self.name} is one number for all classes")

    def __str__(self) -> str:
        return f"{self.name}_{self.average}" if self.average else self.name


def of_side(side: Side, metric: Metric) -> Array:
    """The metric of one side, of as many tables as it holds (shape: (...)); NaN for 0/0."""
    if metric.name == "error_rate":
        return 1 - scores.accuracy(side)
    if metric.name in scores.OVERALL:
        return scores.OVERALL[metric.name](side)
    if metric.which is not None:
        values: Array = scores.PER_CLASS[metric.name](side)[..., metric.which]
        return values
    if metric.average == "micro":
        wrong = 1 - scores.accuracy(side)
        return 1 - wrong / (_present(side) - 1) if metric.name == "specificity" else 1 - wrong
    return scores.average(side, metric.name, str(metric.average))


def _present(side: Side) -> Array:
    """How many classes a side labels or predicts."""
    present: Array = np.maximum(((side.labels > 0) | (side.predictions > 0)).sum(axis=-1), 2)
    return present


def _slope(side: Side, metric: Metric) -> Slope:
    if metric.which is not None:
        return scores.class_slope(side, metric.name, metric.which)
    if metric.average in {"macro", "weighted"}:
        return scores.average_slope(side, metric.name, metric.average)
    if metric.name in {"balanced_accuracy", "mcc", "kappa"}:
        return scores.overall_slope(side, metric.name)
    slope = scores.overall_slope(side, "accuracy")
    factor = 1.0
    if metric.name == "error_rate":
        factor = -1.0
    elif metric.name == "specificity":
        factor = 1 / (float(_present(side)) - 1)
    return Slope(hits=slope.hits * factor, labels=slope.labels, predictions=slope.predictions, n=slope.n * factor)


def point(counts: Counts, metric: Metric, side: str) -> float:
    """The metric of one side ("base" or "head"). Raises Undefined for 0/0."""
    found = float(of_side(counts.side(predicted(counts, side)), metric))
    if math.isnan(found):
        raise Undefined(f"{metric} of the {side} is undefined: {_why(metric)}")
    return min(max(found, lowest(metric)), 1.0)  # rounding may go beyond


def predicted(counts: Counts, side: str) -> Integers:
    """The predictions of a side ("base" or "head"; shape: cells)."""
    return {"base": counts.base, "head": counts.head}[side]


def _why(metric: Metric) -> str:
    reasons = {
        "precision": "it never predicts the class",
        "recall": "no example has the class",
        "specificity": "no example has another class",
        "f1": "the class is neither labelled nor predicted",
        "balanced_accuracy": "all examples have one class",
    }
    return reasons.get(metric.name, "all examples have one class, or are predicted to have one")


def influence(counts: Counts, metric: Metric, side: str) -> Array:
    """What one example of each cell adds to the metric of a side, to first order (shape: cells); 0 in sum.

    For clusters: add this up over the examples of each cluster, and give the sums of squares to
    `classification.clustered_difference`.
    """
    guess = predicted(counts, side)
    slope = _slope(counts.side(guess), metric)
    hit = counts.label == guess
    added: Array = slope.labels[counts.label] + slope.predictions[guess] + hit * slope.hits[guess] + slope.n
    return added


def lowest(metric: Metric) -> float:
    """The smallest value a metric can have; the largest is 1."""
    return -1.0 if metric.name in {"mcc", "kappa"} else 0.0
